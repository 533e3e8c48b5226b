#!lua flags=allow-oom
-- Renews leases.
--
-- KEYS[1]  zset     leases: batch names by expiry in ms
--
-- ARGV[1]     length of a lease in ms
-- ARGV[2...]  names of batches
--
-- Returns how many of them are still leased.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local leased = 0
for index = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[index]) then
    redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[index])
    leased = leased + 1
  end
end
return leased
