#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: _limits.lua
-- include: _number.lua
-- include: _ending.lua
-- include: _sends.lua
-- include: _guarded.lua
-- include: verification/_counting.lua
-- Check one guess.
--
-- KEYS record! secrets! number! audit! run start_refusals! total! country! blocks! addresses!
-- ARGV operation token number_hash app receipt_id wrong_rules consecutive_max asserted_number asserted_purpose
--      asserted_subject by_purpose by_subject request_key wrong_everywhere_rules challenge unbound_max outer_wait_ms
--      outer_limit outer_refusing guard_rules guard_policy digests...
-- Where by_purpose: of the number's latest verification that is asked for; then `token` is '', and the keys of record
--       and secrets are to be completed with the one that is found · '' if asked by id ·
--       by_subject: keyed hash of the subject of whose budget a try was taken, '' for none ·
--       challenge: of the verifier that is given, or '' · unbound_max: checks without the right one that are answered ·
--       asserted_number (its hash), asserted_subject (its hash), asserted_purpose and request_key: '' for none ·
--       outer_wait_ms: until a limit apart from the number passes, 0 if it does · outer_limit: its name, or '' ·
--       outer_refusing: as in `verification/start` ·
--       guard_policy: `GuardNumbers` where the app's budgets are on this server, so that an approval gives back to them
--       here, or ''; then country and blocks are to be completed with the number's country, otherwise the four keys of
--       budgets stand for nothing ·
--       digests: key id, digest, key id, digest ... of the guess
-- Reply {operation, token of the verification, and then:
--       'no_key', key id}: made with a key of which no digest is given ·
--       'approved', ms, number hash, purpose, channel, context hash, receipt id, mask,
--       keyed hash of the subject or '', '1' of a test number, `GuardedApproval` or '',
--       '1' if the budgets have got it back or '', `GuardReport` with commas} ·
--       'wrong' or 'unbound', checks left} · 'ended', status, 'counted' by this guess or nothing} ·
--       'limited', ms, the limit that refuses or ''} · 'not_found'} ·
--       'of_subject', keyed hash}: call again with a try of that subject
-- Holds the guess is counted in every budget before it is compared, so a store that refuses writes never answers a
--       guess; at most `max_checks` guesses of a verification are ever compared, and at most one is ever approved. A
--       verification that is not as asserted is not found, and nothing is counted. The request that was approved gets
--       its approval again. What was started for a subject is judged under the subject's budget, not the number's. A
--       check without the verifier of a start is neither compared nor counted against anybody.
local own_field, by_number = Number.WRONG .. ':' .. app, by_purpose ~= ''
local own, all, sends, ends, guarded_text, guard_takes, latest = unpack(redis.call('HMGET', number_key, own_field,
  Number.WRONG, Number.SENDS, Number.ENDS, Number.GUARDED .. app, Number.GUARD_TAKEN .. app,
  Number.LATEST .. app .. ':' .. by_purpose))
if by_number then
  token = string.match(latest or '', LatestEntry.PARSE)
  if not token then return {operation, '', 'not_found'} end
  record_key, secrets_key = record_key .. token, secrets_key .. token
end
local facts, status, expires, attempts_before, sending, version, context_hash, challenges, unbound, born, done, subject,
  test, notice = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.STATUS, Record.EXPIRES, Record.ATTEMPTS,
  Record.SENDING, Record.VERSION, Record.CONTEXT_HASH, Record.CHALLENGES, Record.UNBOUND, Record.RUN,
  Record.OPERATION .. operation, Record.SUBJECT, Record.TEST, Record.NOTICE))
local of_app, purpose, mask, created, max_checks, _, key_id = string.match(facts or '', RecordFacts.PARSE)

local function approved(at, receipt, guarded, given_back, reports)
  local _, _, channel = string.match(sending, Sending.PARSE)
  return {operation, token, 'approved', at, number_hash, purpose, channel, context_hash or '', receipt, mask,
    subject or '', test or '', guarded or '',
    given_back or '', reports or ''}
end

-- The approval that this verification got before.
local function approved_before()
  return approved(unpack(redis.call('HMGET', record_key, Record.ENDED, Record.RECEIPT)))
end

if done then
  local outcome, value = string.match(done, CheckReply.PARSE)
  if outcome == 'approved' then return approved_before() end
  return {operation, token, outcome, value, 'counted'}
end
-- A record that lost a field is no verification, nor is a notice.
local whole = status and expires and attempts_before and sending and not notice
if of_app ~= app or not whole then return {operation, token, 'not_found'} end
if asserted_number ~= '' and asserted_number ~= number_hash then return {operation, token, 'not_found'} end
if asserted_purpose ~= '' and asserted_purpose ~= purpose then return {operation, token, 'not_found'} end
if asserted_subject ~= '' and asserted_subject ~= (subject or '') then return {operation, token, 'not_found'} end
if by_subject ~= '' and by_subject ~= subject then return {operation, token, 'not_found'} end
local now = clock()
local c = {audit = audit_key, secrets = secrets_key, now = now, who = {record = record_key,
  token = token, app = app, mask = mask, number_hash = number_hash}}
version = tonumber(version) or 0
if status == 'pending' and has_expired(now, expires, created, born) then
  end_verification(c, 'verification.expired', version)
  return {operation, token, 'ended', 'expired'}
end
if status == 'approved' and request_key ~= '' and request_key == redis.call('HGET', record_key, Record.REQUEST) then
  return approved_before()
end
if status ~= 'pending' then return {operation, token, 'ended', status} end
-- The secrets go when the code's time is over: a clock that is set back afterwards does not make it valid again.
local digest = redis.call('HGET', secrets_key, Secrets.DIGEST)
if not digest then return {operation, token, 'not_found'} end
-- Whoever lacks the verifier is told what a wrong code would be told, a few times, whatever the code is.
if (challenges or challenge ~= '') and not (challenges and challenge ~= ''
    and string.find(challenges, challenge, 1, true)) then
  local left = unbound_max - (tonumber(unbound) or 0) - 1
  if left < 0 then return {operation, token, 'limited', int(tonumber(expires) - now), ''} end
  local detail = '{"reason":"code_verifier"}'
  local fields = {Record.UNBOUND, int(unbound_max - left), Record.OPERATION .. operation,
    string.format(CheckReply.PACK, 'unbound', int(left))}
  add_to_timeline(fields, version + 1, 'check.failed', now, nil, detail)
  redis.call('HSET', record_key, unpack(fields))
  append_audit(audit_key, c.who, audit_event('check.failed', nil, detail), version + 1)
  return {operation, token, 'unbound', int(left)}
end

if subject and by_subject == '' then return {operation, token, 'of_subject', subject} end
local wait, limit
if not subject then wait, limit = wrong_codes_wait(own, all, now) end
if tonumber(outer_wait_ms) > (wait or 0) then wait, limit = tonumber(outer_wait_ms), outer_limit end
if wait then
  leave_future(number_key, {own_field, Number.WRONG}, now)
  if outer_refusing ~= '' then
    redis.call('HSET', start_refusals_key, Refused.BY_SLOTS,
      with_refusing(redis.call('HGET', start_refusals_key, Refused.BY_SLOTS), outer_refusing))
    redis.call('PEXPIRE', start_refusals_key, 3600000)
  end
  return {operation, token, 'limited', int(wait), limit}
end

-- A code whose key this process does not have cannot be checked: no guess may be lost on it.
local guessed
for i = 1, #digests, 2 do
  if digests[i] == key_id then guessed = digests[i + 1] end
end
if not guessed then return {operation, token, 'no_key', key_id} end

-- Give back to the app's budgets what the sends of the approved number took. Returns `GuardReport` with commas.
local function give_back_here(region, block_10k, block_1k, known, taken)
  local policy, why = guard_policy, 'approved'
  country_key, blocks_key = country_key .. region, blocks_key .. region
-- include: guard/_counters.lua
-- include: guard/_places.lua
-- include: guard/_giving_back.lua
  return table.concat(reports, ',')
end

-- Count first: against the number, in this app and over all apps, then against the verification.
local in_a_row, last, times = read_wrong(own)
if last + IN_A_ROW_MS <= now then in_a_row = 0 end
if not subject then
  redis.call('HSET', number_key,
    own_field, string.format(WrongCodes.PACK, in_a_row + 1, int(now), with_now(times, now, tonumber(consecutive_max))),
    Number.WRONG, with_now(all or '', now, tonumber(consecutive_max)))
end
local attempts = redis.call('HINCRBY', record_key, Record.ATTEMPTS, 1)
local fields = {}

local function answer(outcome, value)
  fields[#fields + 1] = Record.OPERATION .. operation
  fields[#fields + 1] = string.format(CheckReply.PACK, outcome, value)
end

local half = #digest / 2
digest = by_number and string.sub(digest, half + 1) or string.sub(digest, 1, half)
if guessed == digest then
  -- A right guess is no wrong one: take back what was counted against the number. The verification's count stays.
  -- Whoever is approved holds the phone: the number is known from now on.
  local written, guarded = guards.approve(guarded_text, guard_takes, now)
  for _, part in ipairs({own_field, times == '' and '' or string.format(WrongCodes.PACK, 0, int(last), times),
    Number.WRONG, all or '', Number.SENDS, without_ladder(sends, app, purpose)}) do written[#written + 1] = part end
  write_number(number_key, written, ends, now, guards.known_ms + 0)
  fields[#fields + 1] = Record.RECEIPT
  fields[#fields + 1] = receipt_id
  if request_key ~= '' then
    fields[#fields + 1] = Record.REQUEST
    fields[#fields + 1] = request_key
  end
  answer('approved', '')
  local detail = test and '{"test":true}' or nil
  add_to_timeline(fields, version + 1, 'verification.approved', now, nil, detail)
  write_ending(c, fields, 'approved', audit_event('verification.approved', nil, detail), version + 1)
  local region, block_10k, block_1k, known, taken = string.match(guarded, GuardedApproval.PARSE)
  -- What was sent for a subject may be refused yet: the number must be bound to it. That a known number was approved once
  -- more is told in the background.
  if guard_policy == '' or not region or subject or (known == '1' and taken == '') then
    return approved(int(now), receipt_id, guarded)
  end
  -- A budget that cannot be read must not cost the approval: then the caller tries again, and says so.
  local given_back, reports = pcall(give_back_here, region, block_10k, block_1k, known, taken)
  return approved(int(now), receipt_id, guarded, given_back and '1', given_back and reports)
end
if not subject then
  write_number(number_key, {}, ends, now, math.max((window_and_length(wrong_rules)),
    (window_and_length(wrong_everywhere_rules))), IN_A_ROW_MS)
end
local left = max_checks - attempts
local detail = '{"checks_left":' .. int(left) .. '}'
local failed = audit_event('check.failed', nil, detail)
add_to_timeline(fields, version + 1, 'check.failed', now, nil, detail)
if left > 0 then
  answer('wrong', int(left))
  redis.call('HSET', record_key, unpack(fields))
  append_audit(audit_key, c.who, failed, version + 1)
  return {operation, token, 'wrong', int(left)}
end
answer('ended', 'exhausted')
add_to_timeline(fields, version + 2, 'verification.exhausted', now)
write_ending(c, fields, 'exhausted',
  failed .. AuditEvents.SEPARATOR .. audit_event('verification.exhausted'), version + 1)
return {operation, token, 'ended', 'exhausted', 'counted'}
