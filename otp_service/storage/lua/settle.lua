#!lua
-- include: _common.lua
-- include: _delivery.lua
-- Write down what the carrier answered to a try, and settle the outbox entry.
--
-- KEYS  1 record  2 outbox  3 audit  4 timeline  5 timers  6 optouts  7 sends
--       8 message index ('accepted') or index of opted-out numbers ('refused')
-- ARGV  id's body · ordinal · group · outbox entry · outcome · a · b · x · y · z
--       accepted: message id · carrier's status · ms until the first poll · index ttl ms · ms the carrier will hold it
--       refused:  carrier's code · title · '1' if the next sender may try · '1' if the person is on a block list
--       retry:    ms until the next try · reason · '1' if an earlier reason says more          nothing was sent
--       turn:     ms until the sender's reserved place    nothing was tried
--       unknown:  ms until the next try · reason          it may have been sent
--       failed:   code · title · '1' if the next sender may try    we cannot make the request at all
--       held:     code · title · '1' if the next sender may try · ms until the sender may be asked again
--                 nothing was tried: the next sender has it, or it waits
--       handed_back: code · title · '1' if the next sender may have it when it was not sent in time · ms until another
--                 worker may look at it: this one cannot do it
--       hand_on:  code · title · '1' · names of senders that are better than this one, which is held
-- Reply 'accepted' · 'fell_back' · 'failed' · 'expired' · 'waiting' · 'unknown' · 'late': a webhook was faster, nothing
--       changed · 'stays': none of the better senders is left for it, or it may have been sent; nothing changed
-- Holds the delivery moves by rank; the next sender is claimed once; a lost answer is never taken for a refusal, nor
--       forgotten because a later try did not leave the house.
local body, n, group, entry, outcome, a, b, x, y, z = unpack(ARGV)
local p = n .. ':'
local r = redis.call('HMGET', KEYS[1], 'app', 'mask', 'nh', p .. 'st', 'expires', p .. 'send', p .. 'prof', p .. 'try',
  p .. 'home', p .. 'q', p .. 'in')
local now = clock()
local c = {rec = KEYS[1], outbox = KEYS[2], audit = KEYS[3], timeline = KEYS[4], timers = KEYS[5], optouts = KEYS[6],
  sends = KEYS[7], who = {rec = KEYS[1], vid = body, app = r[1], mask = r[2], nh = r[3]}, body = body, now = now}
local id = delivery_id(c, n)
-- Of `try` tries `home` are known never to have left the house; any other may have reached the person.
local tried = tonumber(r[8] or 0) > tonumber(r[9] or 0)

-- Whether one of these senders is left for a fall-over.
local function left(names)
  for sender in string.gmatch(way_on(c, n) or '', '([^,|]+)|[^,|]+|[^,|]+') do
    if string.find(',' .. names .. ',', ',' .. sender .. ',', 1, true) then return true end
  end
  return false
end
if outcome == 'hand_on' and r[4] and RANK[r[4]] < RANK['sent'] and (tried or not left(y)) then return 'stays' end
redis.call('XACK', KEYS[2], group, entry)
local first = redis.call('XDEL', KEYS[2], entry) == 1
if not r[1] or not r[4] then return 'late' end

if outcome == 'accepted' then
  redis.call('HSET', KEYS[1], 'acc:' .. r[6], '1')
  redis.call('HSETNX', KEYS[1], p .. 'mid', a)
  redis.call('HSETNX', KEYS[1], p .. 'cs', b)
  redis.call('SET', KEYS[8], id, 'PX', y)
  if move(c, n, 'sent') then
    redis.call('ZADD', KEYS[5], int(now + x), 'p:' .. id)
    local detail = {message_id = a, carrier_status = b}
    if z ~= '0' then detail.held_ms = tonumber(z) end
    record(c.audit, c.timeline, c.who, 'delivery.sent', now, id, cjson.encode(detail))
    -- It would come out of the carrier's queue when its code is over.
    if now + z >= tonumber(r[5]) and fail_over(c, n, 'carrier_queue') then return 'fell_back' end
    return 'accepted'
  end
  return 'late'
end
if RANK[r[4]] >= RANK['sent'] then return 'late' end

-- A worker that could send it has it now.
if outcome == 'turn' or outcome == 'held' then redis.call('HDEL', KEYS[1], p .. 'back') end
if outcome == 'turn' then
  redis.call('HSET', KEYS[1], p .. 'paced', '1')
  redis.call('HSETNX', KEYS[1], p .. 'why', 'the sender had no free place at its rate')
  redis.call('ZADD', KEYS[5], int(math.min(now + a, r[5])), 'r:' .. id)
  return 'waiting'
end
if outcome == 'held' then
  local first_time = redis.call('HGET', KEYS[1], p .. 'why') ~= b
  redis.call('HSET', KEYS[1], p .. 'why', b)
  if tried or x ~= '1' or not way_on(c, n) then
    if first_time then
      record(c.audit, c.timeline, c.who, 'delivery.put_off', now, id, cjson.encode({reason = b, wait_ms = tonumber(y)}))
    end
    redis.call('ZADD', KEYS[5], int(math.min(now + y, r[5])), 'r:' .. id)
    return 'waiting'
  end
end
if outcome == 'handed_back' then
  local first_time = redis.call('HGET', KEYS[1], p .. 'why') ~= b
  redis.call('HSET', KEYS[1], p .. 'why', b)
  -- The sender is not to blame: the next one could do no better.
  if x == '1' then redis.call('HDEL', KEYS[1], p .. 'back') else redis.call('HSET', KEYS[1], p .. 'back', '1') end
  if first_time then
    record(c.audit, c.timeline, c.who, 'delivery.put_off', now, id, cjson.encode({reason = b, wait_ms = tonumber(y)}))
  end
  redis.call('ZADD', KEYS[5], int(math.min(now + y, r[5])), 'r:' .. id)
  return 'waiting'
end
if outcome == 'retry' or outcome == 'unknown' then
  if outcome == 'unknown' then
    if move(c, n, 'unknown') then
      record(c.audit, c.timeline, c.who, 'delivery.unknown', now, id, cjson.encode({reason = b}))
    end
    redis.call('HSET', KEYS[1], p .. 'why', b)
  else
    if first then
      record(c.audit, c.timeline, c.who, 'delivery.put_off', now, id,
        cjson.encode({reason = b, wait_ms = tonumber(a)}))
    end
    redis.call(x == '1' and 'HSETNX' or 'HSET', KEYS[1], p .. 'why', b)
    -- Counted once per entry, so that neither a repeat of this call nor a second worker vouches for another's try.
    if first then redis.call('HINCRBY', KEYS[1], p .. 'home', 1) end
    redis.call('HSET', KEYS[1], p .. 'u', int(now))
  end
  if first then redis.call('HDEL', KEYS[1], p .. 'token') end
  redis.call('ZADD', KEYS[5], int(math.min(now + a, r[5])), 'r:' .. id)
  -- The fall-over in time waited for this answer.
  local fall_at = math.max(now, (r[10] or now) + (r[11] or 0))
  if tonumber(redis.call('ZSCORE', KEYS[5], 'f:' .. id) or 0) > fall_at then
    redis.call('ZADD', KEYS[5], int(fall_at), 'f:' .. id)
  end
  return 'waiting'
end

-- That we cannot make the request any more says nothing about a try that may have left before.
if outcome == 'failed' and tried then
  if move(c, n, 'unknown') then
    record(c.audit, c.timeline, c.who, 'delivery.unknown', now, id, cjson.encode({reason = a}))
  end
  return 'unknown'
end

-- Its code ran out while it waited, and that is the reason, whatever stands in the way now.
if outcome == 'failed' and now >= tonumber(r[5]) then
  redis.call('HSETNX', KEYS[1], p .. 'why', b)
  local title = too_late(c, n)
  redis.call('HSET', KEYS[1], p .. 'ec', 'code_expired', p .. 'et', title)
  if move(c, n, 'expired') then
    record(c.audit, c.timeline, c.who, 'delivery.expired', now, id, cjson.encode({reason = 'code_expired', title = title}))
    settle_timers(c, n)
    give_back(c, n)
  end
  return 'expired'
end

-- Refused or impossible: nothing was sent by this sender.
redis.call('HSET', KEYS[1], p .. 'ec', a, p .. 'et', b)
if outcome == 'refused' and y == '1' then
  redis.call('HSET', KEYS[6], r[7], '1|' .. int(now) .. '||carrier')
  redis.call('HSET', KEYS[8], r[3], r[2])
  record(c.audit, nil, c.who, 'optout.added', now, id, cjson.encode({messaging_profile_id = r[7], source = 'carrier'}))
end
local status = outcome == 'refused' and y == '1' and 'suppressed' or 'failed'
local moved = move(c, n, status)
if moved then
  record(c.audit, c.timeline, c.who, 'delivery.' .. status, now, id, cjson.encode({code = a, title = b}))
  settle_timers(c, n)
end
if x == '1' and fail_over(c, n, a) then return 'fell_back' end
if moved then give_back(c, n) end
return 'failed'
