#!lua
-- include: _common.lua
-- include: _ending.lua
-- include: _sends.lua
-- Check one guess.
--
-- KEYS operation! record! secrets! wrong! streak! audit! timeline! timers! wrong_everywhere! sends! [latest]
-- ARGV operation operation_ttl_ms token app receipt_id wrong_rules consecutive_max streak_ttl_ms tombstone_ms
--      asserted_number asserted_purpose request_key wrong_everywhere_rules digests...
-- Where latest: only if asked by number · asserted_number (its hash), asserted_purpose and request_key: '' for none ·
--       digests: key id, digest, key id, digest ... of the guess
-- Reply {operation, 'no_key', key id}: made with a key of which no digest is given ·
--       {operation, 'approved', ms, number hash, purpose, channel, context hash, receipt id, mask} ·
--       {operation, 'wrong', checks left} · {operation, 'ended', status} · {operation, 'limited', ms} ·
--       {operation, 'not_found'} · {operation, 'superseded', token}
-- Holds the guess is counted in every budget before it is compared, so a store that refuses writes never answers a
--       guess; at most `max_checks` guesses of a verification are ever compared, and at most one is ever approved. A
--       verification that is not as asserted is not found, and nothing is counted. The request that was approved gets
--       its approval again.
local done = redis.call('GET', operation_key)
if done then
  local reply = {}
  for part in string.gmatch(done, '([^' .. CheckReply.SEPARATOR .. ']*)' .. CheckReply.SEPARATOR) do
    reply[#reply + 1] = part
  end
  return reply
end
if latest_key then
  local latest = redis.call('GET', latest_key)
  if latest ~= token then return {operation, 'superseded', latest or ''} end
end

local of_app, status, expires, attempts_before, max_checks, key_id, number_hash, mask, purpose, channel, context_hash,
  given_receipt, ended, approved_request, created = unpack(redis.call('HMGET', record_key, Record.APP, Record.STATUS,
  Record.EXPIRES, Record.ATTEMPTS, Record.MAX_CHECKS, Record.KEY_ID, Record.NUMBER_HASH, Record.MASK,
  Record.PURPOSE, Record.CHANNEL, Record.CONTEXT_HASH, Record.RECEIPT, Record.ENDED, Record.REQUEST, Record.CREATED))
-- A record that lost a field is no verification.
local whole = status and expires and attempts_before and max_checks and key_id and number_hash and mask and purpose
  and channel
if of_app ~= app or not whole or not context_hash then return {operation, 'not_found'} end
if asserted_number ~= '' and asserted_number ~= number_hash then return {operation, 'not_found'} end
if asserted_purpose ~= '' and asserted_purpose ~= purpose then return {operation, 'not_found'} end
local now = clock()
local who = {record = record_key, token = token, app = app, mask = mask, number_hash = number_hash,
  operation = operation}
if status == 'pending' and has_expired(now, expires, created or now) then
  end_verification(record_key, secrets_key, timeline_key, timers_key, token, 'expired', now, tombstone_ms)
  append_event(audit_key, timeline_key, who, 'verification.expired', now)
  return {operation, 'ended', 'expired'}
end
if status == 'approved' and request_key ~= '' and request_key == approved_request then
  return {operation, 'approved', ended, number_hash, purpose, channel, context_hash, given_receipt, mask}
end
if status ~= 'pending' then return {operation, 'ended', status} end
local digest = redis.call('HGET', secrets_key, Secrets.DIGEST)
if not digest then return {operation, 'not_found'} end
local wait = math.max(limit_wait(wrong_key, wrong_rules, now) or 0,
  limit_wait(wrong_everywhere_key, wrong_everywhere_rules, now) or 0)
if tonumber(redis.call('GET', streak_key) or 0) >= tonumber(consecutive_max) then
  wait = math.max(wait, 1, redis.call('PTTL', streak_key))
end
if wait > 0 then return {operation, 'limited', int(wait)} end

-- A code whose key this process does not have cannot be checked: no guess may be lost on it.
local guessed
for i = 1, #digests, 2 do
  if digests[i] == key_id then guessed = digests[i + 1] end
end
if not guessed then return {operation, 'no_key', key_id} end

-- Count first: against the number, in this app and over all apps, then against the verification.
local function count(list, rules)
  redis.call('LPUSH', list, int(now))
  redis.call('LTRIM', list, 0, consecutive_max - 1)
  redis.call('PEXPIRE', list, (window_and_length(rules)))
end
count(wrong_key, wrong_rules)
count(wrong_everywhere_key, wrong_everywhere_rules)
local attempts = redis.call('HINCRBY', record_key, Record.ATTEMPTS, 1)

local reply
if guessed == digest then
  -- A right guess is no wrong one: take back what was counted against the number. The verification's count stays.
  redis.call('LPOP', wrong_key)
  redis.call('LPOP', wrong_everywhere_key)
  redis.call('DEL', streak_key)
  reset_ladder(sends_key, app, purpose)
  redis.call('HSET', record_key, Record.RECEIPT, receipt_id)
  if request_key ~= '' then redis.call('HSET', record_key, Record.REQUEST, request_key) end
  end_verification(record_key, secrets_key, timeline_key, timers_key, token, 'approved', now, tombstone_ms)
  append_event(audit_key, timeline_key, who, 'verification.approved', now)
  reply = {operation, 'approved', int(now), number_hash, purpose, channel, context_hash, receipt_id, mask}
else
  redis.call('INCR', streak_key)
  redis.call('PEXPIRE', streak_key, streak_ttl_ms)
  local left = max_checks - attempts
  append_event(audit_key, timeline_key, who, 'check.failed', now, nil, '{"checks_left":' .. int(left) .. '}')
  if left > 0 then
    reply = {operation, 'wrong', int(left)}
  else
    end_verification(record_key, secrets_key, timeline_key, timers_key, token, 'exhausted', now, tombstone_ms)
    append_event(audit_key, timeline_key, who, 'verification.exhausted', now)
    reply = {operation, 'ended', 'exhausted'}
  end
end
redis.call('SET', operation_key, table.concat(reply, CheckReply.SEPARATOR) .. CheckReply.SEPARATOR, 'PX',
  operation_ttl_ms)
return reply
