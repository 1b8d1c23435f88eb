#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _guarded.lua
-- include: verification/_counting.lua
-- A login of a number ended well by another way than its code: the number is known from now on, as after an approval.
--
-- KEYS number! audit! run [record!]
-- ARGV token number_hash app guard_rules
-- Where record: of the verification that the caller names; without it another factor of the person was approved, and only
--       a number that the app has sent to counts · token: of that verification, or ''
-- Reply {'not_found'} · {'denied'} · {'completed', `GuardedApproval` or ''}
-- Holds each verification completes once; another app's is not found. The owner of the number said of a denied one that
--       somebody else asked for the code: it makes no number known.
local now = clock()
if token ~= '' then
  local facts, before, status = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.COMPLETED, Record.STATUS))
  if string.match(facts or '', RecordFacts.PARSE) ~= app then return {'not_found'} end
  if before then return {'completed', ''} end
  if status == 'denied' then return {'denied'} end
  redis.call('HSET', record_key, Record.COMPLETED, int(now))
  append_event(audit_key, subject_of(record_key, token, number_hash, facts), 'verification.completed', now)
end
local text, takes, ends = unpack(redis.call('HMGET', number_key, Number.GUARDED .. app, Number.GUARD_TAKEN .. app,
  Number.ENDS))
if token == '' then
  if not text then return {'completed', ''} end
  append_audit(audit_key, {app = app, number_hash = number_hash}, audit_event('guard.factor_approved'))
end
local written, given = guards.approve(text, takes, now)
write_number(number_key, written, ends, now, guards.known_ms + 0)
return {'completed', given}
