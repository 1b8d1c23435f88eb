#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: _limits.lua
-- include: _number.lua
-- include: _ending.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: _guarded.lua
-- include: verification/_counting.lua
-- include: verification/_operations.lua
-- Start a verification for (app, number, purpose), or send the pending one's code again.
--
-- KEYS number! optouts outbox! audit! timers! record! secrets! sticky start_refusals! run total! country! blocks! addresses!
--      [known_record! known_secrets!]
-- ARGV operation operation_ttl_ms new_token known_token app purpose channel mask number_hash context_hash code_ttl_ms
--      lifetime_ms max_checks resend_waits key_id digest digest_by_number box metadata locale autofill route wrong_rules
--      start_rules queue_max outer_wait_ms outer_limit outer_refusing tombstone_ms consecutive_max detail own_detail healthy sent_within_ms
--      refusal_gap_ms failover_route wrong_everywhere_rules send_rules subject challenge test notice dry_run send_slots
--      guard guard_rules guard_place guard_taken guard_judged guard_policy guard_start
--      guard_quiet spend
-- Where record and secrets are of the new id; those of the latest known id are left out if none is known ·
--       known_token '': none · lifetime_ms: the longest a code may live, with resends · resend_waits 'ms,ms' ·
--       route and failover_route: lists of `RouteSender` · outer_wait_ms: until a limit apart from the number passes, 0
--       if it does · outer_limit: its name, or '' · outer_refusing: of those that refuse, the ones that count the number with
--       what the caller says, a list of `SendSlot` · send_slots: what
--       the send took in limits, a list of `SendSlot` · detail: JSON · own_detail: the same where it says more than purpose
--       and channel, or '' · healthy: senders that may be moved to the front 'a,b' · sent_within_ms: within which a
--       message should be sent ·
--       refusal_gap_ms: between two refusals of a kind on record · failover_route: senders of another channel ·
--       subject: keyed hash of the subject that is named, or '' · challenge: of the verifier that a check needs, or '' ·
--       test '1': of a test number, to which nothing is sent · notice '1': without a code · dry_run '1': judge alone ·
--       guard: '' if the pumping guard leaves this start alone, 'ask' where it has not been asked,
--       'looked' where it would let it pass, 'pass', or the budget that refuses · guard_place: `GuardPlace` · guard_taken: what the send took, `GuardTaken` ·
--       guard_judged: `GuardJudged` as events may hold it · guard_quiet '1': a refusal by the guard is not put on record ·
--       guard_policy: `GuardNumbers` where the app's budgets are on
--       this server and are to be asked here, or '' · guard_start: what they look at, `GuardStart`; without a policy the four
--       keys of budgets stand for nothing · spend: the expected price that was taken, as `SpendTaken`;
--       'full' where the app has spent what it may spend today, '' where it may spend any amount
-- Reply {operation, 'created', token, ms, guarded, end of the code, next send, sender, its kind, verdict} ·
--       {operation, 'resent', token, ms, guarded, the record, verdict} · {operation, 'known', token}: call again with that id's keys ·
--       {operation, 'replayed', 'created'|'resent', token}: this operation already ran ·
--       {operation, 'would', sender}: a dry run that would pass ·
--       {operation, 'guard', guarded}: the number is neither known nor counted, and passes; call again with what the guard says ·
--       {operation, 'refused', code, retry ms, sends left, token, the limit that refuses or '', guarded, verdict} ·
--       verdict: as `guard/take` replies, '' if it was not asked here ·
--       guarded: 'counted' if what the guard took is kept, 'known' for a known number that is counted as one, 'covered' for
--       the first send after a lift, 'unknown' where
--       the guard was not asked and would be, 'quiet' where that is so and it refused the number a moment ago, else ''
-- Holds at most one pending verification per (app, number, purpose, subject); a repeat never gives tries back; the code,
--       the outbox entry, the index and the event are written together or not at all. The ladder and the caps count
--       every send to the number, however its verification ended; where the store ended it before its time, the ladder
--       does not count the latest one, once.
local slot = app .. ':' .. purpose
local own_starts, own_wrong = Number.STARTS .. app, Number.WRONG .. ':' .. app
local latest_entry, operations, wrong, all_wrong, sent, starts, ends, guarded_text, guard_before = unpack(redis.call('HMGET',
  number_key, Number.LATEST .. slot, Number.OPERATIONS .. slot, own_wrong, Number.WRONG, Number.SENDS, own_starts,
  Number.ENDS, Number.GUARDED .. app, Number.GUARD_TAKEN .. app))
local now = clock()
local latest = string.match(latest_entry or '', LatestEntry.PARSE)
local done = find_operation(operations, operation, latest, now)
if done then return {operation, 'replayed', unpack(done)} end
if latest and latest ~= known_token then return {operation, 'known', latest} end
local waits = {}
for ms in string.gmatch(resend_waits, '%d+') do waits[#waits + 1] = tonumber(ms) end
local number = guards.read(guarded_text, now)
number.guarded = ''
if (guard == 'ask' or guard == 'looked') and not number.known and not number.covered then
  number.guarded = 'unknown'
end
-- Whether the guard refused this number a moment ago. Asked only of those that it refuses, or that ask it elsewhere.
function number.is_quiet()
  local refused = tonumber(redis.call('HGET', start_refusals_key, 'guard_refused') or nil)
  return refused and now < refused + refusal_gap_ms or false
end
function number.unasked()
  return number.guarded == 'unknown' and number.is_quiet() and 'quiet' or number.guarded
end
local who = {record = record_key, token = new_token, app = app, mask = mask, number_hash = number_hash}

-- The pending verification, if there is one. One whose time has run out unnoticed is ended here.
local pending = false
local old = {}
local ended_by_store = false
if latest then
  old.facts, old.status, old.expires, old.context_hash, old.sending, old.version, old.subject, old.run, old.challenges,
    old.ended, old.test = unpack(redis.call('HMGET', known_record_key, Record.FACTS, Record.STATUS, Record.EXPIRES,
    Record.CONTEXT_HASH, Record.SENDING, Record.VERSION, Record.SUBJECT, Record.RUN, Record.CHALLENGES, Record.ENDED,
    Record.TEST))
  old.created = created_at(old.facts)
  if old.status == 'pending' and has_expired(now, old.expires, old.created, old.run) then
    if dry_run ~= '1' then end_verification({audit = audit_key, secrets = known_secrets_key, now = now,
      who = {record = known_record_key, token = latest, app = app, mask = mask, number_hash = number_hash}},
      'verification.expired', old.version) end
    ended_by_store = now < (tonumber(old.expires) or 0) and not is_of_living_run(old.run)
  elseif old.status == 'pending' and (old.subject or '') == subject and (old.test or '0') == test
    and redis.call('EXISTS', known_secrets_key) == 1 then
    -- A code that was sent for one subject is never sent again for another one who shares the phone. A number that is
    -- a test number since, or is none any more, has another code.
    pending = true
    who.token, who.record = latest, known_record_key
  elseif old.status == 'expired' then
    ended_by_store = (tonumber(old.ended) or now) < (tonumber(old.expires) or 0) and not is_of_living_run(old.run)
  end
end

-- What the budgets of the app say, asked at most once for good. They are read only where they are needed.
local verdict = ''
local function ask_budgets(look)
  local policy, region, block_10k, block_1k = guard_policy, string.match(guard_place, GuardPlace.PARSE)
  local mode, address, cost_text, keeps_address = string.match(guard_start, GuardStart.PARSE)
  local cost, is_quiet = cost_text, number.is_quiet
-- include: guard/_counters.lua
-- include: guard/_places.lua
  local function judge()
-- include: guard/_judging.lua
  end
  local said = judge()
  if look == '1' then return said end
  verdict, number.guarded = said, ''
  guard_quiet = said[1] == '1' and number.is_quiet() and '1' or ''
  guard_taken = string.format(GuardTaken.PACK, address ~= '' and address or '-', cost_text, said[2])
  guard_judged = string.format(GuardJudged.PACK, guard_place, keeps_address == '1' and guard_taken
    or string.format(GuardTaken.PACK, '-', cost_text, said[2]), said[5])
  guard = said[1] == '1' and string.match(said[3], '^[^,]+') or 'pass'
  return said
end
local asks_here = guard == 'ask' and guard_policy ~= '' and number.guarded ~= ''

-- A refusal that says something about this person goes into the record: one of a kind in a while, with the number of
-- those that were left out before it, so that a caller in a loop cannot fill the record. `limit` names what refuses.
local function refuse(code, retry_ms, left, limit)
  -- Where the guard has not been asked, its refusal comes first: the caller asks it, and calls again.
  if asks_here and number.guarded ~= '' and code ~= 'guard_refused' and ask_budgets('1')[1] == '1' then
    ask_budgets('0')
    code, retry_ms, left, limit = 'guard_refused', 0, nil, guard
  end
  if retry_ms > 0 and dry_run ~= '1' then
    leave_future(number_key, {Number.SENDS, own_starts, own_wrong, Number.WRONG}, now)
  end
  if limit and dry_run ~= '1' and (asks_here or guard ~= 'ask' or number.guarded == '') then
    -- The guard's budgets count a refusal exactly if it is on record: their replay needs each of those.
    local kind = limit == 'spend_limit' and limit or code
    local due = guard_quiet ~= '1'
    if kind ~= 'guard_refused' then due = now >= (redis.call('HGET', start_refusals_key, kind) or 0) + refusal_gap_ms end
    if due then
      local skipped = tonumber(redis.call('HGET', start_refusals_key, kind .. Refused.SKIPPED) or 0)
      redis.call('HSET', start_refusals_key, kind, int(now), kind .. Refused.SKIPPED, 0)
      append_audit(audit_key,
        {token = pending and latest or '', app = app, mask = mask, number_hash = number_hash},
        audit_event('verification.refused', nil, cjson.encode({code = code, skipped = skipped,
          purpose = purpose, channel = channel,
          limit = limit ~= '' and limit or nil, wait_ms = retry_ms > 0 and retry_ms or nil,
          guard = kind == 'guard_refused' and guard_judged or nil})))
    else
      redis.call('HINCRBY', start_refusals_key, kind .. Refused.SKIPPED, 1)
    end
    if kind == 'guard_refused' then redis.call('HSET', start_refusals_key, kind .. Refused.LAST, int(now)) end
    if code == 'rate_limited' and outer_refusing ~= '' then
      redis.call('HSET', start_refusals_key, Refused.BY_SLOTS,
        with_refusing(redis.call('HGET', start_refusals_key, Refused.BY_SLOTS), outer_refusing))
    end
    redis.call('PEXPIRE', start_refusals_key, 3600000)
  end
  return {operation, 'refused', code, int(retry_ms), left or '', pending and latest or '', limit or '',
    asks_here and '' or number.unasked(), verdict}
end

if spend == 'full' then return refuse('guard_refused', 0, nil, 'spend_limit') end
if guard ~= '' and guard ~= 'ask' and guard ~= 'looked' and guard ~= 'pass' and not number.known and not number.covered then
  return refuse('guard_refused', 0, nil, guard)
end
local blocked = blocked_on_route(optouts_key, route .. ',' .. failover_route)
local open = open_route(blocked, route)
if open == '' then return refuse('opted_out', 0, nil, '') end
-- Of several limits that refuse, the longest wait is reported, so that a caller who obeys it passes.
local wait, limit
local function consider(ms, name)
  if ms and ms > (wait or 0) then wait, limit = ms, name end
end
consider(wrong_codes_wait(wrong, all_wrong, now))
if wait then return refuse('too_many_wrong_codes', wait, nil, limit) end
if pending and (old.context_hash or '') ~= context_hash then return refuse('context_conflict', 0) end
local counted = read_sends(sent, app, purpose, now)
if ended_by_store then give_back(counted, app, purpose, tonumber(old.created) or now) end
local opens = ladder_opens(counted.own, waits, now)
local sends = pending and tonumber((string.match(old.sending, Sending.PARSE))) or 0
if sends > #waits then
  return refuse('resend_too_soon', math.max(opens, tonumber(old.expires)) - now, '0', 'resend_after')
end
if opens > now then return refuse('resend_too_soon', opens - now, int(#waits + 1 - sends), 'resend_after') end
-- The sender that reached this person last goes first, if it is healthy.
local last = string.find(open, ',', 1, true) and redis.call('HGET', sticky_key, string.format(StickySlot.PACK, channel, app))
if last and string.find(',' .. healthy .. ',', ',' .. last .. ',', 1, true) then
  local first, others
  for sender, name in string.gmatch(open, RouteSender.EACH) do
    if name == last then first = sender
    else others = others and others .. ',' .. sender or sender end
  end
  if first and others then open = first .. ',' .. others end
end
local failover = open_route(blocked, failover_route)
if failover ~= '' then open = open .. ',' .. failover end
consider(caps_wait(counted, send_rules, now), 'service.sends_per_number')
local started = read_times(starts)
consider(limit_wait(started, start_rules, now), 'starts_per_number')
if tonumber(outer_wait_ms) > 0 then consider(tonumber(outer_wait_ms), outer_limit) end
if wait then return refuse('rate_limited', wait, nil, limit) end
local room = tonumber(queue_max)
if (test ~= '1' or room < 0) and redis.call('XLEN', outbox_key) >= room then return refuse('queue_full', 1000) end
if asks_here then
  if ask_budgets('0')[1] == '1' then return refuse('guard_refused', 0, nil, guard) end
elseif number.guarded ~= '' then return {operation, 'guard', number.unasked()} end
if dry_run == '1' then return {operation, 'would', (select(2, string.match(open, RouteSender.EACH)))} end

-- It passes. Count it, and remember it as the number's latest.
open = without_profiles(open)
local token = pending and latest or new_token
local outcome = pending and 'resent' or 'created'
local expires = now + code_ttl_ms
if pending then expires = math.min(expires, old.created + lifetime_ms) end
local tombstone_until = int(expires + tombstone_ms)
local send_window, most_sends = window_and_length(send_rules)
local start_window, most_starts = window_and_length(start_rules)
local written = {Number.LATEST .. slot, string.format(LatestEntry.PACK, token, int(expires)),
  Number.OPERATIONS .. slot, with_operation(operations, outcome, latest, token, now),
  Number.SENDS, with_send(counted, send_entry(now, app, purpose), math.max(most_sends, counted.hourly + 1),
    math.max(send_window, LADDER_MS), now)}
if start_rules ~= '' then
  written[#written + 1] = own_starts
  written[#written + 1] = with_now(without_old_times(starts, started, start_window, now), now, most_starts)
end
if guard ~= '' then
  number.lives, number.guarded = guards.count(number, guard_before, guard_place, guard_taken, written, now)
end
if write_number(number_key, written, ends, now, math.max(number.lives or 0, send_window, LADDER_MS, start_window,
    tonumber(operation_ttl_ms), tombstone_until - now)) and ends then
  forget_old_slots(number_key, now)
end
table.insert(counted.own, 1, now)
local next_send = int(ladder_opens(counted.own, waits, now))

local function add_slots(fields, send, n)
  if spend ~= '' then
    fields[#fields + 1] = n .. Delivery.SPEND
    fields[#fields + 1] = spend
  end
  if guard ~= '' and not number.known then
    fields[#fields + 1] = Record.GUARDED .. send
    fields[#fields + 1] = guard_rules
  end
  if send_slots == '' then return end
  fields[#fields + 1] = Record.SLOTS .. send
  fields[#fields + 1] = send_slots
end

local c = {outbox = outbox_key, audit = audit_key, timers = timers_key, who = who, now = now, test = test == '1'}
local short_detail = own_detail ~= '' and own_detail or string.format(StartDetail.PACK, purpose, channel)
-- What the guard judged is on record, so that another policy can be tried on it; and each start that it counts as one of
-- a known number, and of a number that it has met those that it leaves alone.
if number.guarded ~= '' or (guard == '' and guarded_text) then
  local judged = guard == '' and '-' or guard_judged
  if number.guarded == 'known' or number.guarded == 'covered' then
    local flags = number.guarded == 'known' and 'k' or 'v'
    judged = string.format(GuardJudged.PACK, guard_place, string.format(GuardTaken.PACK, '-', '0', flags), '')
  end
  short_detail = own_detail == '' and string.format(GuardedStartDetail.PACK, purpose, channel, judged)
    or string.sub(detail, 1, -2) .. ', ' .. string.sub(cjson.encode({guard = judged}), 2)
end
local timers = {int(expires), TimerKind.EXPIRY .. token}
if pending then
  sends = int(sends + 1)
  local n = int(deliveries_of(old.sending) + 1)
  local fields = {Record.EXPIRES, int(expires), Record.SENDING,
    string.format(Sending.PACK, sends, n, channel, next_send), Record.METADATA, metadata,
    Record.SENT_AT .. sends, int(now)}
  add_slots(fields, sends, n)
  -- Whoever asks for the code has a verifier of their own, and the earlier one still counts.
  if challenge ~= '' and not string.find(old.challenges or '', challenge, 1, true) then
    fields[#fields + 1] = Record.CHALLENGES
    fields[#fields + 1] = old.challenges and old.challenges .. ',' .. challenge or challenge
  end
  old.version = tonumber(old.version) or 0
  add_to_timeline(fields, old.version + 1, 'verification.resent', now, nil, detail)
  queue_delivery(c, n, open, sends, channel, locale, autofill, sent_within_ms, fields,
    old.version + 2, timers, audit_event('verification.resent', nil, short_detail))
  redis.call('PEXPIREAT', known_secrets_key, int(expires))
  redis.call('PEXPIREAT', who.record, tombstone_until)
  return {operation, outcome, token, int(now), number.guarded, redis.call('HGETALL', who.record), verdict}
end
local fields = {Record.FACTS, string.format(RecordFacts.PACK, app, purpose, mask, int(now), max_checks,
  int(#waits + 1), key_id), Record.STATUS, 'pending', Record.EXPIRES, int(expires), Record.RUN, store_run(), Record.ATTEMPTS, 0,
  Record.VERSION, 2, Record.SENDING, string.format(Sending.PACK, 1, 1, channel, next_send)}
if context_hash ~= '' then
  fields[#fields + 1] = Record.CONTEXT_HASH
  fields[#fields + 1] = context_hash
end
if challenge ~= '' then
  fields[#fields + 1] = Record.CHALLENGES
  fields[#fields + 1] = challenge
end
if subject ~= '' then
  fields[#fields + 1] = Record.SUBJECT
  fields[#fields + 1] = subject
end
add_slots(fields, '1', '1')
if c.test then
  fields[#fields + 1] = Record.TEST
  fields[#fields + 1] = test
end
if notice == '1' then
  fields[#fields + 1] = Record.NOTICE
  fields[#fields + 1] = notice
end
if metadata ~= '{}' then
  fields[#fields + 1] = Record.METADATA
  fields[#fields + 1] = metadata
end
if own_detail ~= '' then add_pieces(fields, Record.DETAIL .. '1', own_detail) end
local sender, kind = queue_delivery(c, '1', open, '1', channel, locale, autofill, sent_within_ms, fields, 2,
  timers, audit_event(ShortType.STARTED, nil, short_detail))
local secrets = {Secrets.DIGEST, digest .. digest_by_number}
add_pieces(secrets, Secrets.BOX, box)
redis.call('HSET', secrets_key, unpack(secrets))
redis.call('PEXPIREAT', secrets_key, int(expires))
redis.call('PEXPIREAT', record_key, tombstone_until)
return {operation, outcome, token, int(now), number.guarded, int(expires), next_send, sender, kind, verdict}
