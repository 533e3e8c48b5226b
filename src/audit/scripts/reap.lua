#!lua flags=allow-oom
-- Reaps a batch whose lease has expired: each of its jobs is retried alone, at once, unless it is a poison job.
--
-- KEYS[1]  list     the batch
-- KEYS[2]  zset     leases: batch names by expiry in ms
-- KEYS[3]  zset     delayed: entries by when they are due in ms
-- KEYS[4]  list     dead letters
-- KEYS[5]  hash     pending: under SESSION:apart how many of a session's jobs are out of order
--
-- ARGV[1]  the batch's name
-- ARGV[2]  after how many reaps while it was alone in its batch a job is dead
-- ARGV[3]  the session of the first job
--
-- Returns how many jobs are retried, and how many are dead.
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
local time = redis.call('TIME')
if not score or tonumber(score) > time[1] * 1000 + math.floor(time[2] / 1000) then return { 0, 0 } end
redis.call('ZREM', KEYS[2], ARGV[1])
local jobs = redis.call('LRANGE', KEYS[1], 0, -1)
redis.call('DEL', KEYS[1])
local dead = 0
for _, entry in ipairs(jobs) do
  local attempts, reaps, job = string.match(entry, '^(%d+) (%d+) (.*)$')
  if not job then attempts, reaps, job = '0', '0', entry end
  if #jobs == 1 then reaps = reaps + 1 end
  if tonumber(reaps) >= tonumber(ARGV[2]) then
    dead = dead + 1
    if tonumber(attempts) == 0 then redis.call('HINCRBY', KEYS[5], ARGV[3] .. ':apart', 1) end
    redis.call('RPUSH', KEYS[4], '{"error":"whoever writes it dies","attempts":' .. attempts .. ',"job":' .. job .. '}')
  else
    redis.call('ZADD', KEYS[3], 0, attempts .. ' ' .. string.format('%d', reaps) .. ' ' .. job)
  end
end
return { #jobs - dead, dead }
