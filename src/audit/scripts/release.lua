#!lua flags=allow-oom
-- Gives a batch back as it was, to the front of those that wait; what is tried alone is due at once.
-- KEYS: the batch's list, leases, wait, delayed
-- ARGV: the batch's name
-- Returns how many jobs; 0 when the lease had been lost.
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
local jobs = redis.call('LRANGE', KEYS[1], 0, -1)
for place = #jobs, 1, -1 do
  -- `{`: it has no counts.
  if string.byte(jobs[place]) == 123 then
    redis.call('LPUSH', KEYS[3], jobs[place])
  else
    redis.call('ZADD', KEYS[4], 0, jobs[place])
  end
end
redis.call('DEL', KEYS[1])
return #jobs
