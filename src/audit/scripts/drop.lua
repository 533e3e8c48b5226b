#!lua flags=allow-oom
-- Deletes a dead letter for good.
--
-- KEYS[1]  list     dead letters
-- KEYS[2]  counter  bytes of all jobs
-- KEYS[3]  hash     pending: the newest tag of each session, and under SESSION:apart how many of its jobs are out of order
--
-- ARGV[1]  the dead letter
-- ARGV[2]  bytes of its job
-- ARGV[3]  its session
-- ARGV[4]  its tag
--
-- Returns 1; 0 when it is not there any more.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if redis.call('DECRBY', KEYS[2], ARGV[2]) == 0 then redis.call('DEL', KEYS[2]) end
local field = ARGV[3] .. ':apart'
if redis.call('HINCRBY', KEYS[3], field, -1) <= 0 then redis.call('HDEL', KEYS[3], field) end
if redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[4] then redis.call('HDEL', KEYS[3], ARGV[3]) end
return 1
