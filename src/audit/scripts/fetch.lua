#!lua flags=allow-oom
-- Moves jobs to a list of their own, under a lease: one that is due to be tried alone, or those that wait. A list that
-- may go as a whole is renamed, so that nobody copies what is in it.
-- KEYS: wait, delayed, the batch's list, leases, bytes
-- ARGV: jobs at most, length of the lease in ms, the batch's name, 1 when what is due goes before what waits, how many must
--       wait for them to be moved where nothing is due, bytes that are enough
-- Returns 1; 0 when there are none.
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
