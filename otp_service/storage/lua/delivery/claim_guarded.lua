#!lua
-- include: _common.lua
-- Claim what the pumping guard is to give back because a send was never accepted: one worker gives it back. The timer
-- stays for `delivery/claim_slots`, which comes after it.
--
-- KEYS record!
-- ARGV ordinal
-- Reply {app, `GuardedApproval`}; {'', ''} if there is nothing (any more)
-- Holds it is given back once at most: a crash after the claim loses it, and the budgets drain by time.
local facts, given = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.GUARD_RETURNED .. ordinal))
if not given then return {'', ''} end
redis.call('HDEL', record_key, Record.GUARD_RETURNED .. ordinal)
return {string.match(facts or '', RecordFacts.PARSE) or '', given}
