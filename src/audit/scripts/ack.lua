#!lua flags=allow-oom
-- Acknowledges a batch with the outcome of each of its jobs.
--
-- KEYS[1]  list     the batch
-- KEYS[2]  zset     leases: batch names by expiry in ms
-- KEYS[3]  hash     pending: the newest tag of each session, and under SESSION:apart how many of its jobs are out of order
-- KEYS[4]  counter  bytes of all jobs
-- KEYS[5]  list     done: jobs that were written last
-- KEYS[6]  zset     delayed: entries by when they are due in ms
-- KEYS[7]  list     dead letters
--
-- ARGV[1]  the batch's name
-- ARGV[2]  bytes of written jobs
-- ARGV[3]  how many done jobs are remembered
-- ARGV[4...]  eight lists, each as its length and its elements: sessions of written jobs; their tags; sessions whose number
--             of jobs out of order changes; by how much; entries to retry; their pauses in ms; dead letters; done jobs
--
-- A job is out of order when later jobs of its session may be written before it.
-- Returns the time in ms; 0 when the lease is lost, and another instance has the jobs.
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
  for index, newest in ipairs(redis.call('HMGET', KEYS[3], unpack(sessions))) do
    if newest == tags[index] then written[#written + 1] = sessions[index] end
  end
  if #written > 0 then redis.call('HDEL', KEYS[3], unpack(written)) end
end
if tonumber(ARGV[2]) > 0 then
  if redis.call('DECRBY', KEYS[4], ARGV[2]) == 0 then redis.call('DEL', KEYS[4]) end
end
local out_of_order, changes = take(), take()
for index, session in ipairs(out_of_order) do
  local field = session .. ':apart'
  if redis.call('HINCRBY', KEYS[3], field, changes[index]) <= 0 then redis.call('HDEL', KEYS[3], field) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local delayed, pauses = take(), take()
for index, job in ipairs(delayed) do
  redis.call('ZADD', KEYS[6], now + pauses[index], job)
end
local dead, done = take(), take()
if #dead > 0 then redis.call('RPUSH', KEYS[7], unpack(dead)) end
if #done > 0 then
  redis.call('LPUSH', KEYS[5], unpack(done))
  redis.call('LTRIM', KEYS[5], 0, ARGV[3] - 1)
  redis.call('EXPIRE', KEYS[5], 3600)
end
return now
