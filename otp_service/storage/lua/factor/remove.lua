#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Remove a factor, with its secret.
--
-- KEYS subject! enrollment! audit! run
-- ARGV operation app sub token
-- Reply 1, or 0 if there is no such factor
-- Holds nothing of it stays; a repeat of the same operation gets the first reply.
local kind = facts_of(subject_key, token)
if not kind then
  return redis.call('HGET', subject_key, Subject.REMOVED) == operation and 1 or 0
end
if redis.call('HEXISTS', subject_key, token .. Factor.PENDING) == 0 then
  redis.call('HINCRBY', subject_key, Subject.ACTIVE, -1)
end
forget_factor(subject_key, token)
redis.call('DEL', enrollment_key)
redis.call('HSET', subject_key, Subject.REMOVED, operation)
keep_subject(subject_key)
record_events(audit_key, {factor_event('factor.removed', token, {kind = kind})})
return 1
