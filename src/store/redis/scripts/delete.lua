#!lua flags=allow-oom
-- A deletion on a server that is full, which does all that the transaction would have done.
-- KEYS  session, deadlines; and when changes are audited: jobs that wait, what is queued, bytes that are queued
-- ARGV  value as it was loaded, seconds, tombstone, id, PUBLISH or SPUBLISH, channel, message, channel, message;
--       and when changes are audited: job, tag
-- Returns 1, or 0 when the session was changed meanwhile.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('SETEX', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZREM', KEYS[2], ARGV[4])
if KEYS[3] then
  redis.call('RPUSH', KEYS[3], ARGV[10])
  redis.call('HSET', KEYS[4], ARGV[4], ARGV[11])
  redis.call('INCRBY', KEYS[5], string.len(ARGV[10]))
end
redis.call(ARGV[5], ARGV[6], ARGV[7])
redis.call(ARGV[5], ARGV[8], ARGV[9])
return 1
