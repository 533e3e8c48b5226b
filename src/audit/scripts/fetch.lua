#!lua flags=allow-oom
-- Moves jobs to a list of their own, under a lease.
-- KEYS: wait, the batch's list, leases
-- ARGV: jobs at most, length of the lease in ms, the batch's name
-- Returns the jobs. One that was tried before goes alone: it begins with its counts, not with a brace.
local jobs = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
if #jobs == 0 then return jobs end
local batch = { jobs[1] }
if string.byte(jobs[1]) == 123 then
  while #batch < #jobs and string.byte(jobs[#batch + 1]) == 123 do
    batch[#batch + 1] = jobs[#batch + 1]
  end
end
redis.call('RPUSH', KEYS[2], unpack(batch))
redis.call('LTRIM', KEYS[1], #batch, -1)
local now = redis.call('TIME')
redis.call('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[3])
return batch
