#!lua flags=allow-oom
-- Ends a batch: what became of each of its jobs.
-- KEYS: the batch's list, leases, pending, bytes, done, delayed, dead
-- ARGV: the batch's name, bytes written,
--       then counted lists: written (session, tag, how many fewer are apart),
--       delayed (ms from now, job, session, how many more are apart),
--       dead (entry, session, how many more are apart), done (entry)
-- A job is apart when others of its session may be written before it: pending counts them beside the newest tag.
-- Returns the time in ms; 0 when the lease had been lost, so that somebody else has the jobs.
if redis.call('ZREM', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('DEL', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = 3
local function times(each)
  local count = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, count do each() end
end
local function take()
  at = at + 1
  return ARGV[at - 1]
end
local function apart(session, change)
  if tonumber(change) == 0 then return end
  local field = session .. ':apart'
  if redis.call('HINCRBY', KEYS[3], field, change) <= 0 then redis.call('HDEL', KEYS[3], field) end
end
times(function()
  local session, tag = take(), take()
  if redis.call('HGET', KEYS[3], session) == tag then redis.call('HDEL', KEYS[3], session) end
  apart(session, -take())
end)
if tonumber(ARGV[2]) > 0 then
  if redis.call('DECRBY', KEYS[4], ARGV[2]) == 0 then redis.call('DEL', KEYS[4]) end
end
times(function()
  local due, job = take(), take()
  redis.call('ZADD', KEYS[6], now + due, job)
  apart(take(), take())
end)
times(function()
  redis.call('RPUSH', KEYS[7], take())
  apart(take(), take())
end)
local ended = 0
times(function()
  redis.call('LPUSH', KEYS[5], take())
  ended = ended + 1
end)
if ended > 0 then
  redis.call('LTRIM', KEYS[5], 0, 99)
  redis.call('EXPIRE', KEYS[5], 3600)
end
return now
