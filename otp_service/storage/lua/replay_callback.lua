#!lua
-- include: _common.lua
-- Make callbacks due now with all their tries before them: one by its id, or all dead letters of the app.
--
-- KEYS  1 due  2 callbacks  3 dead  4 busy  5 rest mark
-- ARGV  callback id, or '' for all dead letters
-- Reply how many are due now
-- Holds id and body stay what they were; one that is being sent at this moment is left alone.
local now = clock()
local ids = ARGV[1] == '' and redis.call('ZRANGE', KEYS[3], 0, -1) or {ARGV[1]}
local made = 0
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', int(now))
for _, id in ipairs(ids) do
  local waits = redis.call('ZSCORE', KEYS[1], id) and not redis.call('ZSCORE', KEYS[4], id)
  if redis.call('ZREM', KEYS[3], id) == 1 or waits then
    redis.call('HSET', KEYS[2], id .. ':try', 0)
    redis.call('ZADD', KEYS[1], int(now), id)
    made = made + 1
  end
end
if made > 0 then
  redis.call('DEL', KEYS[5])
  redis.call('PEXPIRE', KEYS[1], math.max(86400000, redis.call('PTTL', KEYS[2])))
end
return made
