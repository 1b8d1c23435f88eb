#!lua
-- include: _common.lua
-- Claim the polling of a silent delivery: one worker asks the carrier, and the next time is set before it does.
--
-- KEYS  1 timers  2 record
-- ARGV  delivery id · ordinal · waits 'ms,ms' after each poll; past the last there is no further one
-- Reply message id to ask for, or '' if there is nothing to ask
-- Holds a crash while asking loses no later poll.
local now = clock()
local due = redis.call('ZSCORE', KEYS[1], 'p:' .. ARGV[1])
if not due or tonumber(due) > now then return '' end
local p = ARGV[2] .. ':'
local r = redis.call('HMGET', KEYS[2], p .. 'st', p .. 'mid')
local polls = r[1] and redis.call('HINCRBY', KEYS[2], p .. 'polls', 1) or 0
local waits = {}
for ms in string.gmatch(ARGV[3], '%d+') do waits[#waits + 1] = tonumber(ms) end
if r[1] ~= 'sent' or not r[2] or not waits[polls] then
  redis.call('ZREM', KEYS[1], 'p:' .. ARGV[1])
else
  redis.call('ZADD', KEYS[1], int(now + waits[polls]), 'p:' .. ARGV[1])
end
return r[1] == 'sent' and r[2] or ''
