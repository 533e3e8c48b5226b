#!lua flags=allow-oom
-- Takes a dead job away for good.
-- KEYS: dead, bytes, pending
-- ARGV: its entry among the dead, the job's bytes, session, tag
-- Returns 1; 0 when it is not there any more.
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
if redis.call('DECRBY', KEYS[2], ARGV[2]) == 0 then redis.call('DEL', KEYS[2]) end
local field = ARGV[3] .. ':apart'
if redis.call('HINCRBY', KEYS[3], field, -1) <= 0 then redis.call('HDEL', KEYS[3], field) end
if redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[4] then redis.call('HDEL', KEYS[3], ARGV[3]) end
return 1
