#!lua flags=allow-oom
-- Releases a batch: new jobs return to the front of those that wait, others are due at once.
--
-- KEYS[1]  list     the batch
-- KEYS[2]  zset     leases: batch names by expiry in ms
-- KEYS[3]  list     wait: entries, the oldest first
-- KEYS[4]  zset     delayed: entries by when they are due in ms
--
-- ARGV[1]  the batch's name
--
-- Returns how many jobs; 0 when the lease is lost.
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
local jobs = redis.call('LRANGE', KEYS[1], 0, -1)
for index = #jobs, 1, -1 do
  -- `{`: it has no counters.
  if string.byte(jobs[index]) == 123 then
    redis.call('LPUSH', KEYS[3], jobs[index])
  else
    redis.call('ZADD', KEYS[4], 0, jobs[index])
  end
end
redis.call('DEL', KEYS[1])
return #jobs
