#!lua flags=allow-oom
-- Leases a batch: one delayed job that is due, or jobs that wait. A list that is leased as a whole is renamed instead of
-- copied.
--
-- KEYS[1]  list     wait: entries, the oldest first
-- KEYS[2]  zset     delayed: entries by when they are due in ms
-- KEYS[3]  list     the batch
-- KEYS[4]  zset     leases: batch names by expiry in ms
-- KEYS[5]  counter  bytes of all jobs
--
-- ARGV[1]  jobs in a batch at most
-- ARGV[2]  length of the lease in ms
-- ARGV[3]  the batch's name
-- ARGV[4]  1 when a delayed job goes before jobs that wait, else 0
-- ARGV[5]  how many jobs must wait to be leased where no delayed job is due
-- ARGV[6]  bytes that fill a batch
--
-- Returns 1; 0 when there is nothing to lease.
local PIECE = 64
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGE', KEYS[2], '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
local most = tonumber(ARGV[1])
local waiting = redis.call('LLEN', KEYS[1])
if #due == 0 and waiting < tonumber(ARGV[5]) then waiting = 0 end
if #due > 0 and (waiting == 0 or ARGV[4] == '1') then
  redis.call('ZREM', KEYS[2], due[1])
  redis.call('RPUSH', KEYS[3], due[1])
elseif waiting == 0 then
  return 0
elseif waiting <= most and tonumber(redis.call('GET', KEYS[5]) or 0) <= tonumber(ARGV[6]) then
  redis.call('RENAME', KEYS[1], KEYS[3])
else
  local moved, bytes = 0, 0
  while moved < math.min(most, waiting) and bytes < tonumber(ARGV[6]) do
    local jobs = redis.call('LRANGE', KEYS[1], moved, math.min(moved + PIECE, most) - 1)
    for _, job in ipairs(jobs) do bytes = bytes + #job end
    redis.call('RPUSH', KEYS[3], unpack(jobs))
    moved = moved + #jobs
  end
  redis.call('LTRIM', KEYS[1], moved, -1)
end
redis.call('ZADD', KEYS[4], now + ARGV[2], ARGV[3])
return 1
