#!lua
-- include: _common.lua
-- include: _delivery.lua
-- Apply a delivery receipt (a webhook, or the carrier's answer when asked) to a delivery.
--
-- KEYS  1 record  2 outbox  3 audit  4 timeline  5 timers  6 optouts  7 message index  8 event mark  9 sticky
--       10 index of opted-out numbers
-- ARGV  id's body · ordinal · message id · carrier's status · our status · carrier's rank of the status · error code ·
--       error title · '1' if the next sender may try · hash of the recipient in the receipt · index ttl ms ·
--       event ttl ms ('0': not an event) · '1' if the carrier has the person on a block list · ms until the first
--       poll · sticky ttl ms
-- Reply {'moved', sender} · {'same'} · {'duplicate'} · {'foreign'}: not this delivery's message
-- Holds an event is applied once; the delivery never moves backwards, in whatever order receipts come; a failed one
--       claims the next sender exactly once; the verification itself never changes here.
local body, n, mid, word, status, word_rank, code, title, may_fall, nh, index_ttl, event_ttl, opted_out, first_poll,
  sticky_ttl = unpack(ARGV)
local p = n .. ':'
local r = redis.call('HMGET', KEYS[1], 'app', 'mask', 'nh', p .. 'mid', p .. 'send', p .. 'cr', p .. 'st',
  p .. 'snd', p .. 'ch', p .. 'prof')
if not r[1] or not r[7] or r[3] ~= nh or (r[4] and r[4] ~= mid) then return {'foreign'} end
if event_ttl ~= '0' and not redis.call('SET', KEYS[8], '1', 'NX', 'PX', event_ttl) then return {'duplicate'} end
local now = clock()
local c = {rec = KEYS[1], outbox = KEYS[2], audit = KEYS[3], timeline = KEYS[4], timers = KEYS[5], optouts = KEYS[6],
  who = {rec = KEYS[1], vid = body, app = r[1], mask = r[2], nh = r[3]}, body = body, now = now}
local id = delivery_id(c, n)
-- That the carrier knows the message at all means that it was accepted.
if not r[4] then
  redis.call('HSET', KEYS[1], p .. 'mid', mid, 'acc:' .. r[5], '1')
  redis.call('SET', KEYS[7], id, 'PX', index_ttl)
end
if tonumber(word_rank) > tonumber(r[6] or -1) then
  redis.call('HSET', KEYS[1], p .. 'cs', word, p .. 'cr', word_rank, p .. 'u', int(now))
  redis.call('HINCRBY', KEYS[1], 'ver', 1)
end
if not move(c, n, status) then return {'same'} end
if status == 'sent' then
  redis.call('ZREM', KEYS[5], 'r:' .. id)
  redis.call('ZADD', KEYS[5], 'NX', int(now + first_poll), 'p:' .. id)
else
  settle_timers(c, n)
end
-- The sender that got through to this person is asked first the next time; one that did not, no longer.
if status == 'failed' then
  redis.call('HSET', KEYS[1], p .. 'ec', code, p .. 'et', title)
  if redis.call('HGET', KEYS[9], r[9]) == r[8] then redis.call('HDEL', KEYS[9], r[9]) end
else
  redis.call('HDEL', KEYS[1], p .. 'ec', p .. 'et')
end
if status == 'delivered' then
  redis.call('HSET', KEYS[9], r[9], r[8])
  redis.call('PEXPIRE', KEYS[9], sticky_ttl)
end
local detail = {carrier_status = word}
if status == 'failed' and code ~= '' then detail.code, detail.title = code, title end
record(c.audit, c.timeline, c.who, 'delivery.' .. status, now, id, cjson.encode(detail))
if status == 'failed' and opted_out == '1' then
  redis.call('HSET', KEYS[6], r[10], '1|' .. int(now) .. '||carrier')
  redis.call('HSET', KEYS[10], r[3], r[2])
  record(c.audit, nil, c.who, 'optout.added', now, id, cjson.encode({messaging_profile_id = r[10], source = 'carrier'}))
end
if status == 'failed' and may_fall == '1' then fail_over(c, n, code ~= '' and code or 'delivery_failed') end
return {'moved', r[8]}
