#!lua flags=allow-oom
-- Lets a dead job wait again.
-- KEYS: dead, wait
-- ARGV: its entry among the dead, the job as it waits
-- Returns 1; 0 when it is not there any more.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
return 1
