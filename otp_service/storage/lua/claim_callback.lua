#!lua
-- include: _common.lua
-- Take the app's callback that has been due longest; it comes again after the lease unless it is settled.
--
-- KEYS  1 due  2 callbacks  3 busy  4 rest mark
-- ARGV  lease ms · most that are sent at once
-- Reply {id, type, verification id, body, attempt} · {} if there is nothing to do now
-- Holds one worker at a time sends a callback, over all workers not more than so many go to one app, and a crash
--       while sending loses none.
local now = clock()
if redis.call('EXISTS', KEYS[4]) == 1 then return {} end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', int(now))
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[2]) then return {} end
local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', int(now), 'LIMIT', 0, 1)[1]
if not id then return {} end
local r = redis.call('HMGET', KEYS[2], id .. ':type', id .. ':vid', id .. ':body')
if not r[3] then
  redis.call('ZREM', KEYS[1], id)
  return {}
end
redis.call('ZADD', KEYS[1], int(now + ARGV[1]), id)
redis.call('ZADD', KEYS[3], int(now + ARGV[1]), id)
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return {id, r[1], r[2], r[3], int(redis.call('HINCRBY', KEYS[2], id .. ':try', 1))}
