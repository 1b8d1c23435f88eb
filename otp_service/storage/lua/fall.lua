#!lua
-- include: _common.lua
-- include: _delivery.lua
-- The time in which a message should have been sent is over: hand it to the next sender if it was not.
--
-- KEYS  1 record  2 outbox  3 audit  4 timeline  5 timers  6 optouts
-- ARGV  id's body · ordinal · ms a request may be under way · ms until the carrier's word on a message is awaited
-- Reply {'fell_back'} · {'ask', message id}: ask the carrier first, the timer comes again · {'no'}: it was sent, or
--       there is no other sender
-- Holds the next sender is claimed once. A message that the carrier took is left behind only on the carrier's own word
--       that it still lies there; nothing that never left the house is sent after another sender has it.
local body, n, under_way, awaited = unpack(ARGV)
local p = n .. ':'
local now = clock()
local r = redis.call('HMGET', KEYS[1], 'app', 'mask', 'nh', p .. 'st', p .. 'try', p .. 'home', p .. 'u', p .. 'cr',
  p .. 'mid', p .. 'asked', p .. 'why', p .. 'token', p .. 'paced', p .. 'in', p .. 'back')
local c = {rec = KEYS[1], outbox = KEYS[2], audit = KEYS[3], timeline = KEYS[4], timers = KEYS[5], optouts = KEYS[6],
  who = {rec = KEYS[1], vid = body, app = r[1], mask = r[2], nh = r[3]}, body = body, now = now}
local id = delivery_id(c, n)
local due = redis.call('ZSCORE', KEYS[5], 'f:' .. id)
if not due or tonumber(due) > now then return {'no'} end
local function later(ms)
  redis.call('ZADD', KEYS[5], int(now + ms), 'f:' .. id)
end
redis.call('ZREM', KEYS[5], 'f:' .. id)
if not r[4] or RANK[r[4]] > RANK['sent'] or not way_on(c, n) then return {'no'} end

if r[4] == 'sent' then
  -- Rank 2 is the carrier's `sent`: handed over. Below it lies in the carrier's own queue.
  if r[8] and tonumber(r[8]) >= 2 then return {'no'} end
  -- Without its word it is asked again, less and less often, while the code lives.
  if not r[10] or not r[8] then
    later(awaited * redis.call('HINCRBY', KEYS[1], p .. 'asked', 1))
    return {'ask', r[9]}
  end
  fail_over(c, n, 'carrier_queue')
  return {'fell_back'}
end
-- Of `try` tries `home` are known never to have left the house. The last of the others may be under way; if there are
-- two, an earlier one's answer is lost.
local lost = tonumber(r[5] or 0) - tonumber(r[6] or 0)
if r[4] == 'sending' and r[12] and lost == 1 and now < r[7] + under_way then
  later(r[7] + under_way - now)
  return {'no'}
end
if lost > 0 then
  fail_over(c, n, 'answer_lost')
  return {'fell_back'}
end
-- Nobody has looked at it who could send it: no worker was there, or none that has its key. The sender is not to blame.
if (not r[5] and not r[11] and not r[13]) or r[15] then
  later(r[14])
  return {'no'}
end
local title = 'It could not be sent in time' .. (r[11] and ': ' .. r[11] .. '.' or '.')
redis.call('HSET', KEYS[1], p .. 'ec', 'not_sent_in_time', p .. 'et', title)
move(c, n, 'failed')
record(c.audit, c.timeline, c.who, 'delivery.failed', now, id, cjson.encode({code = 'not_sent_in_time', title = title}))
settle_timers(c, n)
fail_over(c, n, 'not_sent_in_time')
return {'fell_back'}
