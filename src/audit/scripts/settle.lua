#!lua flags=allow-oom
-- Ends a batch: what became of its jobs.
-- KEYS: the batch's list, leases, pending, bytes, done, delayed, dead
-- ARGV: the batch's name, bytes written, how many successes are remembered,
--       then counted lists of strings: sessions of what is written, the tags, sessions of which more or fewer jobs are apart,
--       how many more, delayed jobs, when they are due in ms from now, dead ones, successes (as many as are remembered)
-- A job is apart when others of its session may be written before it: pending counts them beside the newest tag.
-- Returns the time in ms; 0 when the lease had been lost, so that somebody else has the jobs.
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[1])
local at = 4
local function take()
  local first, count = at + 1, tonumber(ARGV[at])
  at = first + count
  return { unpack(ARGV, first, at - 1) }
end
local sessions, tags = take(), take()
if #sessions > 0 then
  local written = {}
  for place, newest in ipairs(redis.call('HMGET', KEYS[3], unpack(sessions))) do
    if newest == tags[place] then written[#written + 1] = sessions[place] end
  end
  if #written > 0 then redis.call('HDEL', KEYS[3], unpack(written)) end
end
if tonumber(ARGV[2]) > 0 then
  if redis.call('DECRBY', KEYS[4], ARGV[2]) == 0 then redis.call('DEL', KEYS[4]) end
end
local apart, changes = take(), take()
for place, session in ipairs(apart) do
  local field = session .. ':apart'
  if redis.call('HINCRBY', KEYS[3], field, changes[place]) <= 0 then redis.call('HDEL', KEYS[3], field) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local delayed, pauses = take(), take()
for place, job in ipairs(delayed) do
  redis.call('ZADD', KEYS[6], now + pauses[place], job)
end
local dead, done = take(), take()
if #dead > 0 then redis.call('RPUSH', KEYS[7], unpack(dead)) end
if #done > 0 then
  redis.call('LPUSH', KEYS[5], unpack(done))
  redis.call('LTRIM', KEYS[5], 0, ARGV[3] - 1)
  redis.call('EXPIRE', KEYS[5], 3600)
end
return now
