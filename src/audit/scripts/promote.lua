#!lua flags=allow-oom
-- Lets jobs wait again whose time has come, before all others.
-- KEYS: delayed, wait
-- ARGV: jobs at most
-- Returns how many.
local time = redis.call('TIME')
local due = redis.call('ZRANGE', KEYS[1], '-inf', time[1] * 1000 + math.floor(time[2] / 1000), 'BYSCORE', 'LIMIT', 0, ARGV[1])
for _, job in ipairs(due) do
  redis.call('ZREM', KEYS[1], job)
  redis.call('LPUSH', KEYS[2], job)
end
return #due
