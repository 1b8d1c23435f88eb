#!lua
-- include: _common.lua
-- include: _ending.lua
-- include: _delivery.lua
-- include: _sends.lua
-- Start a verification for (app, number, purpose), or send the pending one's code again.
--
-- KEYS operation! latest! wrong streak starts! optouts outbox! audit! timers! record! secrets! timeline! sticky pending!
--      start_refusals! sends! wrong_everywhere [known_record! known_secrets! known_timeline!]
-- ARGV operation operation_ttl_ms new_token known_token app purpose channel mask number_hash context_hash code_ttl_ms
--      lifetime_ms max_checks resend_waits key_id digest box metadata locale autofill route wrong_rules start_rules
--      queue_max outer_wait_ms tombstone_ms consecutive_max detail healthy sent_within_ms refusal_gap_ms failover_route
--      wrong_everywhere_rules send_rules
-- Where record, secrets and timeline are of the new id; those of the latest known id are left out if none is known ·
--       known_token '': none · lifetime_ms: the longest a code may live, with resends · resend_waits 'ms,ms' ·
--       route and failover_route: lists of `RouteSender` · outer_wait_ms: until a limit of the caller passes, 0 if it
--       does · detail: JSON · healthy: senders that may be moved to the front 'a,b' · sent_within_ms: within which a message should be sent ·
--       refusal_gap_ms: between two refusals of a kind on record · failover_route: senders of another channel
-- Reply {operation, 'created'|'resent', token, ms, the record} · {operation, 'known', token}: call again with that
--       id's keys · {operation, 'replayed', 'created:token'|'resent:token'}: this operation already ran ·
--       {operation, 'refused', code, retry ms, sends left, token, the limit that refuses or ''}
-- Holds at most one pending verification per (app, number, purpose); a repeat never gives tries back; the code,
--       the outbox entry, the index and the event are written together or not at all. The ladder and the caps count
--       every send to the number, however its verification ended.
local done = redis.call('GET', operation_key)
if done then return {operation, 'replayed', done} end

local latest = redis.call('GET', latest_key)
if latest and latest ~= known_token then return {operation, 'known', latest} end
local now = clock()
local waits = {}
for ms in string.gmatch(resend_waits, '%d+') do waits[#waits + 1] = tonumber(ms) end
local who = {record = record_key, token = new_token, app = app, mask = mask, number_hash = number_hash,
  operation = operation}

-- The pending verification, if there is one. One whose time has run out unnoticed is ended here.
local pending = false
local old_status, old_expires, old_created, old_context_hash, old_sends, old_deliveries
if latest then
  old_status, old_expires, old_created, old_context_hash, old_sends, old_deliveries = unpack(redis.call('HMGET',
    known_record_key, Record.STATUS, Record.EXPIRES, Record.CREATED, Record.CONTEXT_HASH, Record.SENDS,
    Record.DELIVERIES))
  if old_status == 'pending' and has_expired(now, old_expires, old_created or now) then
    end_verification(known_record_key, known_secrets_key, known_timeline_key, timers_key, latest, 'expired', now,
      tombstone_ms)
    append_event(audit_key, known_timeline_key,
      {record = known_record_key, token = latest, app = app, mask = mask, number_hash = number_hash,
        operation = operation},
      'verification.expired', now)
  elseif old_status == 'pending' and redis.call('EXISTS', known_secrets_key) == 1 then
    pending = true
    who.token, who.record = latest, known_record_key
  end
end

-- A refusal that says something about this person goes into the record: one of a kind in a while, with the number of
-- those that were left out before it, so that a caller in a loop cannot fill the record. `limit` names what refuses.
local function refuse(code, retry_ms, left, limit)
  if limit then
    if now >= (redis.call('HGET', start_refusals_key, code) or 0) + refusal_gap_ms then
      local skipped = tonumber(redis.call('HGET', start_refusals_key, code .. Refused.SKIPPED) or 0)
      redis.call('HSET', start_refusals_key, code, int(now), code .. Refused.SKIPPED, 0)
      append_event(audit_key, nil,
        {token = pending and latest or '', app = app, mask = mask, number_hash = number_hash, operation = operation},
        'verification.refused', now, nil, cjson.encode({code = code, skipped = skipped,
          limit = limit ~= '' and limit or nil, wait_ms = retry_ms > 0 and retry_ms or nil}))
    else
      redis.call('HINCRBY', start_refusals_key, code .. Refused.SKIPPED, 1)
    end
    redis.call('PEXPIRE', start_refusals_key, 3600000)
  end
  return {operation, 'refused', code, int(retry_ms), left or '', pending and latest or '', limit or ''}
end

local open = open_route(optouts_key, route)
if open == '' then return refuse('opted_out', 0, nil, '') end
-- Of several limits that refuse, the longest wait is reported, so that a caller who obeys it passes.
local wait, limit
local function consider(ms, name)
  if ms and ms > (wait or 0) then wait, limit = ms, name end
end
consider(limit_wait(wrong_key, wrong_rules, now), 'wrong_codes_per_number')
consider(limit_wait(wrong_everywhere_key, wrong_everywhere_rules, now), 'service.wrong_codes_per_number')
if tonumber(redis.call('GET', streak_key) or 0) >= tonumber(consecutive_max) then
  consider(math.max(1, redis.call('PTTL', streak_key)), 'consecutive_wrong_codes')
end
if wait then return refuse('too_many_wrong_codes', wait, nil, limit) end
if pending and old_context_hash ~= context_hash then return refuse('context_conflict', 0) end
local own, hourly = read_ladder(sends_key, app, purpose, now)
local opens = ladder_opens(own, waits, now)
local sends = pending and tonumber(old_sends) or 0
if sends > #waits then
  return refuse('resend_too_soon', math.max(opens, tonumber(old_expires)) - now, '0', 'resend_after')
end
if opens > now then return refuse('resend_too_soon', opens - now, int(#waits + 1 - sends), 'resend_after') end
-- The sender that reached this person last goes first, if it is healthy.
local last = redis.call('HGET', sticky_key, channel)
if last and string.find(',' .. healthy .. ',', ',' .. last .. ',', 1, true) then
  local first, others
  for sender, name in string.gmatch(open, RouteSender.EACH) do
    if name == last then first = sender
    else others = others and others .. ',' .. sender or sender end
  end
  if first and others then open = first .. ',' .. others end
end
local failover = open_route(optouts_key, failover_route)
if failover ~= '' then open = open .. ',' .. failover end
consider(limit_wait(sends_key, send_rules, now), 'service.sends_per_number')
consider(limit_wait(starts_key, start_rules, now), 'starts_per_number')
if tonumber(outer_wait_ms) > 0 then consider(tonumber(outer_wait_ms), 'starts_per_client_ip or starts_per_app') end
if wait then return refuse('rate_limited', wait, nil, limit) end
if redis.call('XLEN', outbox_key) >= tonumber(queue_max) then return refuse('queue_full', 1000) end

if start_rules ~= '' then
  local window, length = window_and_length(start_rules)
  redis.call('LPUSH', starts_key, int(now))
  redis.call('LTRIM', starts_key, 0, length - 1)
  redis.call('PEXPIRE', starts_key, window)
end
do
  local window, length = window_and_length(send_rules)
  redis.call('LPUSH', sends_key, send_entry(now, app, purpose))
  redis.call('LTRIM', sends_key, 0, math.max(length, hourly + 1) - 1)
  redis.call('PEXPIRE', sends_key, math.max(window, LADDER_MS))
  table.insert(own, 1, now)
end
local next_send = int(ladder_opens(own, waits, now))

local token, c, expires
if pending then
  token = latest
  c = {outbox = outbox_key, audit = audit_key, timeline = known_timeline_key,
    timers = timers_key, optouts = optouts_key, who = who, now = now}
  expires = math.min(now + code_ttl_ms, old_created + lifetime_ms)
  local tombstone_until = int(expires + tombstone_ms)
  sends = sends + 1
  redis.call('HSET', who.record, Record.EXPIRES, int(expires), Record.SENDS, int(sends), Record.METADATA, metadata,
    Record.CHANNEL, channel, Record.NEXT_SEND, next_send, Record.SENT_AT .. int(sends), int(now))
  redis.call('PEXPIREAT', known_secrets_key, int(expires))
  redis.call('PEXPIREAT', who.record, tombstone_until)
  redis.call('PEXPIREAT', c.timeline, tombstone_until)
  redis.call('PEXPIREAT', latest_key, tombstone_until)
  redis.call('ZADD', timers_key, int(expires), TimerKind.EXPIRY .. token)
  append_event(audit_key, c.timeline, who, 'verification.resent', now, nil, detail)
  queue_delivery(c, int(old_deliveries + 1), open, int(sends), channel, locale, autofill, sent_within_ms, expires)
else
  token = new_token
  c = {outbox = outbox_key, audit = audit_key, timeline = timeline_key,
    timers = timers_key, optouts = optouts_key, who = who, now = now}
  expires = now + code_ttl_ms
  local tombstone_until = int(expires + tombstone_ms)
  redis.call('HSET', record_key, Record.APP, app, Record.PURPOSE, purpose, Record.CHANNEL, channel, Record.MASK, mask,
    Record.NUMBER_HASH, number_hash, Record.CONTEXT_HASH, context_hash, Record.STATUS, 'pending',
    Record.CREATED, int(now), Record.EXPIRES, int(expires), Record.ATTEMPTS, 0, Record.MAX_CHECKS, max_checks,
    Record.SENDS, 1, Record.MAX_SENDS, #waits + 1, Record.NEXT_SEND, next_send, Record.SENT_AT .. '1', int(now),
    Record.KEY_ID, key_id, Record.METADATA, metadata)
  redis.call('HSET', secrets_key, Secrets.DIGEST, digest, Secrets.BOX, box)
  redis.call('SET', latest_key, token)
  redis.call('ZADD', timers_key, int(expires), TimerKind.EXPIRY .. token)
  append_event(audit_key, timeline_key, who, 'verification.started', now, nil, detail)
  queue_delivery(c, '1', open, '1', channel, locale, autofill, sent_within_ms, expires)
  redis.call('PEXPIREAT', secrets_key, int(expires))
  redis.call('PEXPIREAT', record_key, tombstone_until)
  redis.call('PEXPIREAT', timeline_key, tombstone_until)
  redis.call('PEXPIREAT', latest_key, tombstone_until)
end
redis.call('ZREMRANGEBYSCORE', pending_key, '-inf', int(now))
redis.call('ZADD', pending_key, int(expires), token)
redis.call('PEXPIRE', pending_key, lifetime_ms)
local outcome = pending and 'resent' or 'created'
redis.call('SET', operation_key, string.format(StartOutcome.PACK, outcome, token), 'PX', operation_ttl_ms)
return {operation, outcome, token, int(now), redis.call('HGETALL', who.record)}
