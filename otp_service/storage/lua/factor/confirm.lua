#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Make an authenticator app active by its first code.
--
-- KEYS subject! enrollment! audit! run
-- ARGV operation app sub token most_tries steps...
-- Where steps: the time steps whose code was typed
-- Reply {operation, 'confirmed'} · {operation, 'wrong', tries left} · {operation, 'exhausted'} · {operation, 'expired'} ·
--       {operation, 'used'}: it is active already · {operation, 'not_found'}
-- Holds a try is counted before it is compared; the step of this code cannot be used again. A repeat of the operation
--       that confirmed it gets the first reply.
local kind, _, _, _, period_s = facts_of(subject_key, token)
-- Another kind of factor has no steps.
if not kind or period_s == '' then return {operation, 'not_found'} end
local confirm_by, tries, done = unpack(redis.call('HMGET', subject_key, token .. Factor.PENDING,
  token .. Factor.CONFIRM_TRIES, token .. Factor.APPROVED_BY))
if not confirm_by then return {operation, done == operation and 'confirmed' or 'used'} end
local now = clock()
tries = tonumber(tries or 0)
if tries >= tonumber(most_tries) then return {operation, 'exhausted'} end
local sealed = redis.call('HGET', enrollment_key, PendingSecret.SEALED)
if not sealed or now >= tonumber(confirm_by) then return {operation, 'expired'} end
tries = redis.call('HINCRBY', subject_key, token .. Factor.CONFIRM_TRIES, 1)
local here = math.floor(now / (period_s * 1000))
for i = 1, #steps do
  local drift = steps[i] - here
  if drift >= -1 and drift <= 1 then
    local fields = {token .. Factor.STEP, steps[i], token .. Factor.DRIFT, int(drift), token .. Factor.APPROVED_BY,
      operation, token .. Factor.RUN, store_run()}
    add_pieces(fields, token .. Factor.SEALED, sealed)
    redis.call('HSET', subject_key, unpack(fields))
    redis.call('HDEL', subject_key, token .. Factor.PENDING, token .. Factor.CONFIRM_TRIES)
    redis.call('HINCRBY', subject_key, Subject.ACTIVE, 1)
    redis.call('DEL', enrollment_key)
    keep_subject(subject_key)
    record_events(audit_key, {factor_event('factor.added', token, {kind = kind})})
    return {operation, 'confirmed'}
  end
end
local left = most_tries - tries
record_events(audit_key, {factor_event('factor.check_failed', token, {kind = kind, checks_left = left})})
if left > 0 then return {operation, 'wrong', int(left)} end
redis.call('DEL', enrollment_key)
return {operation, 'exhausted'}
