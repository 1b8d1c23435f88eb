#!lua
-- include: _common.lua
-- include: _delivery.lua
-- Close a delivery that nothing more will be heard of: its code is over, and so is the time for a late receipt.
--
-- KEYS  1 record  2 audit  3 timeline  4 timers  5 sends
-- ARGV  id's body · ordinal
-- Reply the status it ended in, or '' if there was nothing to close (ended before, gone, or given more time by a repeat)
-- Holds every delivery ends, and with a reason; what may have been sent is never called unsent. A later receipt of the
--       carrier still moves it up.
local body, n = unpack(ARGV)
local p = n .. ':'
local c = {rec = KEYS[1], audit = KEYS[2], timeline = KEYS[3], timers = KEYS[4], sends = KEYS[5], body = body,
  now = clock()}
local id = delivery_id(c, n)
local due = redis.call('ZSCORE', KEYS[4], 'c:' .. id)
if not due or tonumber(due) > c.now then return '' end
local r = redis.call('HMGET', KEYS[1], p .. 'st', 'expires', 'app', 'mask', 'nh', p .. 'try', p .. 'home')
if not r[1] or not r[2] or RANK[r[1]] > RANK['sent'] then
  settle_timers(c, n)
  return ''
end
if c.now < r[2] + CLOSE_MS then
  redis.call('ZADD', KEYS[4], int(r[2] + CLOSE_MS), 'c:' .. id)
  return ''
end
c.who = {rec = KEYS[1], vid = body, app = r[3], mask = r[4], nh = r[5]}
local status, code, title = 'unconfirmed', 'no_receipt', 'The carrier took the message and did not say what became of it.'
if r[1] ~= 'sent' then
  if tonumber(r[6] or 0) > tonumber(r[7] or 0) then
    code, title = 'answer_lost', 'The carrier\'s answer was lost, and no receipt came.'
  else
    status, code, title = 'expired', 'code_expired', too_late(c, n)
  end
end
move(c, n, status)
redis.call('HSET', KEYS[1], p .. 'ec', code, p .. 'et', title)
settle_timers(c, n)
if status == 'expired' then give_back(c, n) end
record(c.audit, c.timeline, c.who, 'delivery.' .. status, c.now, id, cjson.encode({reason = code, title = title}))
return status
