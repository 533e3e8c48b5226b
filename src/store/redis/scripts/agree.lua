#!lua flags=allow-oom
-- A correction of Redis' own clock, written unless another instance was faster.
-- KEYS  the correction
-- ARGV  what was found there, empty if nothing; what is to be there
-- Returns what is there then, of whatever type it was.
local found = redis.pcall('GET', KEYS[1])
if type(found) ~= 'string' then
  found = ''
end
if found ~= ARGV[1] then
  return found
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
