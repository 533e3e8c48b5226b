#!lua flags=allow-oom
-- Holds on to batches.
-- KEYS: leases
-- ARGV: length of the lease in ms, the batches' names
-- Returns how many of them are still held.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = 0
for place = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[place]) then
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[place])
    held = held + 1
  end
end
return held
