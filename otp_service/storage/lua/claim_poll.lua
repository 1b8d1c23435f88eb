#!lua
-- include: _common.lua
-- Claim the polling of a silent delivery: one worker asks the carrier, and the next time is set before it does.
--
-- KEYS  1 timers  2 record
-- ARGV  delivery id · ordinal · waits 'ms,ms' after each poll, the last one again and again · ms after the code's end
--       at which it is asked for the last time
-- Reply message id to ask for, or '' if there is nothing to ask
-- Holds a crash while asking loses no later poll; after the code's end there is exactly one.
local id, n, waits_csv, after = unpack(ARGV)
local now = clock()
local due = redis.call('ZSCORE', KEYS[1], 'p:' .. id)
if not due or tonumber(due) > now then return '' end
local p = n .. ':'
local r = redis.call('HMGET', KEYS[2], p .. 'st', p .. 'mid', 'expires')
if r[1] ~= 'sent' or not r[2] or now >= tonumber(r[3]) then
  redis.call('ZREM', KEYS[1], 'p:' .. id)
else
  local waits = {}
  for ms in string.gmatch(waits_csv, '%d+') do waits[#waits + 1] = tonumber(ms) end
  local next_at = now + waits[math.min(redis.call('HINCRBY', KEYS[2], p .. 'polls', 1), #waits)]
  if next_at >= tonumber(r[3]) then next_at = r[3] + after end
  redis.call('ZADD', KEYS[1], int(next_at), 'p:' .. id)
end
return r[1] == 'sent' and r[2] or ''
