#!lua flags=allow-oom
-- Lets a dead job be tried again, at once.
-- KEYS: dead, delayed
-- ARGV: its entry among the dead, the job as it is queued
-- Returns 1; 0 when it is not there any more.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], 0, ARGV[2])
return 1
