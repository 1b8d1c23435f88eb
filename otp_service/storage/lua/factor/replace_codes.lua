#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Give a subject new recovery codes in place of all it had.
--
-- KEYS subject! audit! run
-- ARGV operation app sub token kind digests...
-- Where digests: keyed hashes of the codes
-- Reply {operation, 'replaced', ms}
-- Holds an old code is good no more as soon as a new one is; a repeat of the same operation changes nothing.
if facts_of(subject_key, token) then return {operation, 'replaced', int(clock())} end
local found = redis.call('HGETALL', subject_key)
for i = 1, #found, 2 do
  local other = string.match(found[i], '^([^:]*)' .. Factor.FACTS .. '$')
  if other and string.match(found[i + 1], FactorFacts.PARSE) == kind then
    forget_factor(subject_key, other)
    redis.call('HINCRBY', subject_key, Subject.ACTIVE, -1)
  end
end
local fields = {Subject.APP, app, token .. Factor.LEFT, #digests, token .. Factor.LABEL, '',
  token .. Factor.FACTS, string.format(FactorFacts.PACK, kind, int(clock()), '', '', '')}
for i = 1, #digests do
  fields[#fields + 1] = token .. Factor.CODE .. digests[i]
  fields[#fields + 1] = CodeState.UNUSED
end
redis.call('HSET', subject_key, unpack(fields))
redis.call('HINCRBY', subject_key, Subject.ACTIVE, 1)
keep_subject(subject_key)
record_events(audit_key, {factor_event('factor.codes_replaced', token, {kind = kind, codes_left = #digests})})
return {operation, 'replaced', int(clock())}
