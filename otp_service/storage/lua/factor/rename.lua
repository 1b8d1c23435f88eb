#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Give a factor another label.
--
-- KEYS subject! audit! run
-- ARGV app sub token label
-- Reply 1, or 0 if there is no such factor
-- Holds a second run changes nothing and records nothing.
local kind = facts_of(subject_key, token)
if not kind then return 0 end
-- What was not confirmed in time is shown no more, and not changed either.
local confirm_by = redis.call('HGET', subject_key, token .. Factor.PENDING)
if confirm_by and clock() >= tonumber(confirm_by) then return 0 end
if redis.call('HGET', subject_key, token .. Factor.LABEL) == label then return 1 end
redis.call('HSET', subject_key, token .. Factor.LABEL, label)
record_events(audit_key, {factor_event('factor.renamed', token, {kind = kind})})
return 1
