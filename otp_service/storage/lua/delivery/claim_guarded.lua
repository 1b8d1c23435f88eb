#!lua
-- include: _common.lua
-- Claim what the pumping guard is to give back because a send was never accepted: one worker gives it back. The timer
-- stays for `delivery/claim_slots`, which comes after it.
--
-- KEYS record! audit!
-- ARGV ordinal token number_hash
-- Reply {app, `GuardedApproval`}; {'', ''} if there is nothing (any more)
-- Holds it is given back once at most: a crash after the claim loses it, and the budgets drain by time. It is on record.
local facts, given = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.GUARD_RETURNED .. ordinal))
if not given then return {'', ''} end
redis.call('HDEL', record_key, Record.GUARD_RETURNED .. ordinal)
append_audit(audit_key, subject_of(record_key, token, number_hash, facts), audit_event('guard.returned', ordinal,
  '{"given_back":true}'))
return {string.match(facts or '', RecordFacts.PARSE) or '', given}
