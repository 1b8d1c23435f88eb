#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Write down an authenticator app that is to be confirmed.
--
-- KEYS subject! enrollment! audit! run
-- ARGV operation app sub token kind algorithm digits period_s label sealed confirm_ms most kept_ms
-- Where confirm_ms: for so long it can be confirmed · most: such factors of a subject · kept_ms: for so long after that
--       it is known that it was there
-- Reply {operation, 'enrolled', ms} · {operation, 'too_many'}
-- Holds its secret is in a key of its own that ends by itself; a repeat of the same operation gets the first reply.
local now = clock()
local made = select(2, facts_of(subject_key, token))
if made then return {operation, 'enrolled', int(tonumber(made))} end
local found, count = redis.call('HGETALL', subject_key), 0
local ends = {}
for i = 1, #found, 2 do
  local other = string.match(found[i], '^([^:]*)' .. Factor.PENDING .. '$')
  if other then ends[other] = tonumber(found[i + 1]) end
end
for i = 1, #found, 2 do
  local other = string.match(found[i], '^([^:]*)' .. Factor.FACTS .. '$')
  local open = other and (not ends[other] or ends[other] > now)
  if open and string.match(found[i + 1], FactorFacts.PARSE) == kind then count = count + 1 end
end
for other, until_ms in pairs(ends) do
  if until_ms + kept_ms <= now then forget_factor(subject_key, other) end
end
if count >= tonumber(most) then return {operation, 'too_many'} end
local confirm_by = int(now + confirm_ms)
redis.call('HSET', subject_key, Subject.APP, app,
  token .. Factor.FACTS, string.format(FactorFacts.PACK, kind, int(now), algorithm, digits, period_s),
  token .. Factor.LABEL, label, token .. Factor.PENDING, confirm_by)
redis.call('HSET', enrollment_key, PendingSecret.SEALED, sealed)
redis.call('PEXPIREAT', enrollment_key, confirm_by)
keep_subject(subject_key)
record_events(audit_key, {factor_event('factor.enrolled', token, {kind = kind})})
return {operation, 'enrolled', int(now)}
