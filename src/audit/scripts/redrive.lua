#!lua flags=allow-oom
-- Redrives a dead letter: its job is due at once.
--
-- KEYS[1]  list     dead letters
-- KEYS[2]  zset     delayed: entries by when they are due in ms
--
-- ARGV[1]  the dead letter
-- ARGV[2]  the entry of its job
--
-- Returns 1; 0 when it is not there any more.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], 0, ARGV[2])
return 1
