#!lua
-- include: _common.lua
-- include: _ending.lua
-- include: _delivery.lua
-- include: _sends.lua
-- Start a verification for (app, number, purpose), or send the pending one's code again.
--
-- KEYS  1 op  2 latest  3 wrong  4 streak  5 starts  6 optouts  7 outbox  8 audit  9 timers
--       10 record  11 secrets  12 timeline             of the new id
--       13 sticky  14 pending  15 refused  16 sends  17 wrong over all apps
--       18 record  19 secrets  20 timeline             of the latest known id (left out if none is known)
-- ARGV  op id · op ttl ms · new id's body · known id's body or '' · app · purpose · channel · mask · number hash ·
--       context hash · code ttl ms · lifetime max ms · max checks · resend waits 'ms,ms' · kid · digest · sealed box ·
--       metadata JSON · locale · autofill JSON · route 'name|kind|profile,...' · wrong rules · start rules ·
--       queue max · ms until an outer limit passes (0: passed) · tombstone ms · consecutive max · event detail JSON ·
--       senders that may be moved to the front 'a,b' · ms within which a message should be sent · ms between two
--       refusals of a kind on record · senders of another channel, for a fall-over only 'name|kind|profile,...' ·
--       wrong rules over all apps · send rules over all apps
-- Reply {op, 'created'|'resent', body, ms, the record} · {op, 'known', body}: call again with that id's keys ·
--       {op, 'replayed', 'created:body'|'resent:body'}: this operation already ran ·
--       {op, 'refused', code, retry ms, sends left, body, the limit that refuses or ''}
-- Holds at most one pending verification per (app, number, purpose); a repeat never gives tries back; the code,
--       the outbox entry, the index and the event are written together or not at all. The ladder and the caps count
--       every send to the number, however its verification ended.
local op, op_ttl, new_body, known, app, purpose, channel, mask, nh, ctx, ttl, lifetime, max_checks, waits_csv, kid,
  digest, box, metadata, locale, autofill, route, wrong_rules, start_rules, queue_max, outer_wait, tombstone,
  consecutive_max, detail, healthy, within, refusal_gap, behind, all_wrong_rules, send_rules = unpack(ARGV)
local done = redis.call('GET', KEYS[1])
if done then return {op, 'replayed', done} end

local latest = redis.call('GET', KEYS[2])
if latest and latest ~= known then return {op, 'known', latest} end
local now = clock()
local waits = {}
for ms in string.gmatch(waits_csv, '%d+') do waits[#waits + 1] = tonumber(ms) end
local who = {rec = KEYS[10], vid = new_body, app = app, mask = mask, nh = nh, op = op}

-- The pending verification, if there is one. One whose time has run out unnoticed is ended here.
local pending = false
local old
if latest then
  old = redis.call('HMGET', KEYS[18], 'status', 'expires', 'created', 'ctx', 'sends', 'dn')
  if old[1] == 'pending' and is_over(now, old[2], old[3] or now) then
    finish(KEYS[18], KEYS[19], KEYS[20], KEYS[9], latest, 'expired', now, tombstone)
    record(KEYS[8], KEYS[20], {rec = KEYS[18], vid = latest, app = app, mask = mask, nh = nh, op = op},
      'verification.expired', now)
  elseif old[1] == 'pending' and redis.call('EXISTS', KEYS[19]) == 1 then
    pending = true
    who.vid, who.rec = latest, KEYS[18]
  end
end

-- A refusal that says something about this person goes into the record: one of a kind in a while, with the number of
-- those that were left out before it, so that a caller in a loop cannot fill the record. `limit` names what refuses.
local function refuse(code, retry_ms, left, limit)
  if limit then
    if now >= (redis.call('HGET', KEYS[15], code) or 0) + refusal_gap then
      local skipped = tonumber(redis.call('HGET', KEYS[15], code .. ':skipped') or 0)
      redis.call('HSET', KEYS[15], code, int(now), code .. ':skipped', 0)
      record(KEYS[8], nil, {vid = pending and latest or '', app = app, mask = mask, nh = nh, op = op},
        'verification.refused', now, nil, cjson.encode({code = code, skipped = skipped,
          limit = limit ~= '' and limit or nil, wait_ms = retry_ms > 0 and retry_ms or nil}))
    else
      redis.call('HINCRBY', KEYS[15], code .. ':skipped', 1)
    end
    redis.call('PEXPIRE', KEYS[15], 3600000)
  end
  return {op, 'refused', code, int(retry_ms), left or '', pending and latest or '', limit or ''}
end

local open = open_route(KEYS[6], route)
if open == '' then return refuse('opted_out', 0, nil, '') end
-- Of several limits that refuse the one with the longest wait is told, so that a caller who obeys passes.
local wait, limit
local function consider(ms, name)
  if ms and ms > (wait or 0) then wait, limit = ms, name end
end
consider(over(KEYS[3], wrong_rules, now), 'wrong_codes_per_number')
consider(over(KEYS[17], all_wrong_rules, now), 'service.wrong_codes_per_number')
if tonumber(redis.call('GET', KEYS[4]) or 0) >= tonumber(consecutive_max) then
  consider(math.max(1, redis.call('PTTL', KEYS[4])), 'consecutive_wrong_codes')
end
if wait then return refuse('too_many_wrong_codes', wait, nil, limit) end
if pending and old[4] ~= ctx then return refuse('context_conflict', 0) end
local own, hourly = read_ladder(KEYS[16], app, purpose, now)
local opens = ladder_opens(own, waits, now)
local sends = pending and tonumber(old[5]) or 0
if sends > #waits then return refuse('resend_too_soon', math.max(opens, tonumber(old[2])) - now, '0', 'resend_after') end
if opens > now then return refuse('resend_too_soon', opens - now, int(#waits + 1 - sends), 'resend_after') end
-- The sender that reached this person last goes first, if it is well.
local last = redis.call('HGET', KEYS[13], channel)
if last and string.find(',' .. healthy .. ',', ',' .. last .. ',', 1, true) then
  local first, others
  for sender in string.gmatch(open, '[^,]+') do
    if string.match(sender, '^[^|]+') == last then first = sender
    else others = others and others .. ',' .. sender or sender end
  end
  if first and others then open = first .. ',' .. others end
end
local stand_ins = open_route(KEYS[6], behind)
if stand_ins ~= '' then open = open .. ',' .. stand_ins end
consider(over(KEYS[16], send_rules, now), 'service.sends_per_number')
consider(over(KEYS[5], start_rules, now), 'starts_per_number')
if tonumber(outer_wait) > 0 then consider(tonumber(outer_wait), 'starts_per_client_ip or starts_per_app') end
if wait then return refuse('rate_limited', wait, nil, limit) end
if redis.call('XLEN', KEYS[7]) >= tonumber(queue_max) then return refuse('queue_full', 1000) end

if start_rules ~= '' then
  local window, length = reach(start_rules)
  redis.call('LPUSH', KEYS[5], int(now))
  redis.call('LTRIM', KEYS[5], 0, length - 1)
  redis.call('PEXPIRE', KEYS[5], window)
end
do
  local window, length = reach(send_rules)
  redis.call('LPUSH', KEYS[16], send_entry(now, app, purpose))
  redis.call('LTRIM', KEYS[16], 0, math.max(length, hourly + 1) - 1)
  redis.call('PEXPIRE', KEYS[16], math.max(window, LADDER_MS))
  table.insert(own, 1, now)
end
local next_send = int(ladder_opens(own, waits, now))

local body, c
if pending then
  body = latest
  c = {rec = KEYS[18], outbox = KEYS[7], audit = KEYS[8], timeline = KEYS[20], timers = KEYS[9],
    optouts = KEYS[6], who = who, body = body, now = now}
  local expires = math.min(now + ttl, old[3] + lifetime)
  sends = sends + 1
  redis.call('HSET', c.rec, 'expires', int(expires), 'sends', int(sends), 'metadata', metadata, 'channel', channel,
    'next_send', next_send, 'at:' .. int(sends), int(now))
  redis.call('PEXPIREAT', KEYS[19], int(expires))
  redis.call('PEXPIREAT', c.rec, int(expires + tombstone))
  redis.call('PEXPIREAT', c.timeline, int(expires + tombstone))
  redis.call('PEXPIREAT', KEYS[2], int(expires + tombstone))
  redis.call('ZADD', c.timers, int(expires), 'x:' .. body)
  record(c.audit, c.timeline, who, 'verification.resent', now, nil, detail)
  queue(c, int(old[6] + 1), open, int(sends), channel, locale, autofill, within)
else
  body = new_body
  c = {rec = KEYS[10], outbox = KEYS[7], audit = KEYS[8], timeline = KEYS[12], timers = KEYS[9],
    optouts = KEYS[6], who = who, body = body, now = now}
  local expires = now + ttl
  redis.call('HSET', c.rec, 'app', app, 'purpose', purpose, 'channel', channel, 'mask', mask, 'nh', nh, 'ctx', ctx,
    'status', 'pending', 'created', int(now), 'expires', int(expires), 'attempts', 0, 'max', max_checks,
    'sends', 1, 'sends_max', #waits + 1, 'next_send', next_send, 'at:1', int(now), 'kid', kid, 'metadata', metadata)
  redis.call('HSET', KEYS[11], 'digest', digest, 'box', box)
  redis.call('SET', KEYS[2], body)
  redis.call('ZADD', c.timers, int(expires), 'x:' .. body)
  record(c.audit, c.timeline, who, 'verification.started', now, nil, detail)
  queue(c, '1', open, '1', channel, locale, autofill, within)
  redis.call('PEXPIREAT', KEYS[11], int(expires))
  redis.call('PEXPIREAT', c.rec, int(expires + tombstone))
  redis.call('PEXPIREAT', c.timeline, int(expires + tombstone))
  redis.call('PEXPIREAT', KEYS[2], int(expires + tombstone))
end
redis.call('ZREMRANGEBYSCORE', KEYS[14], '-inf', int(now))
redis.call('ZADD', KEYS[14], redis.call('HGET', c.rec, 'expires'), body)
redis.call('PEXPIRE', KEYS[14], lifetime)
local outcome = pending and 'resent' or 'created'
redis.call('SET', KEYS[1], outcome .. ':' .. body, 'PX', op_ttl)
return {op, outcome, body, int(now), redis.call('HGETALL', c.rec)}
