#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: factor/_subject.lua
-- include: factor/_tries.lua
-- include: factor/_steps.lua
-- Judge one guess at all factors of a subject that it can be, under the subject's one budget.
--
-- KEYS subject! factor_receipt! audit! run
-- ARGV operation app sub purpose recovery_token digest more free_tries first_wait_ms longest_wait_ms most_in_a_row
--      receipt_ms repeat_ms guesses...
-- Where recovery_token and digest: of the recovery code that was typed, '' for none · more '1': where nothing here is
--       approved, something on another shard is still to be asked · guesses: token, time step, token, time step ... of
--       the authenticator apps that show this code at that step
-- Reply {operation, 'approved', token, kind, ms, codes left, '1' for a repeat} · {operation, 'used', token} ·
--       {operation, 'wrong', tries left without a wait} · {operation, 'limited', ms, '1' if only an operator ends it} ·
--       {operation, 'taken', the row of wrong codes, tries left without a wait}: the try is taken
-- Holds a try is taken before anything is compared; a step or a recovery code is accepted once, a step only after the
--       last one; what was used before costs no try. A repeat of the operation that was approved gets its reply again,
--       for `repeat_ms`.
local now = clock()
local function field(name) return redis.call('HGET', subject_key, name) end

local function approved(token, kind, at, left, repeated)
  return {operation, 'approved', token, kind, at, left or '', repeated or ''}
end

-- The reply of this operation, if it has run before and was approved.
local function approved_before(token)
  local done, at, left = unpack(redis.call('HMGET', subject_key, token .. Factor.APPROVED_BY, token .. Factor.USED,
    token .. Factor.LEFT))
  if done == operation and at and now - at < repeat_ms + 0 then
    return approved(token, (facts_of(subject_key, token)), at, left, '1')
  end
end
for i = 1, #guesses, 2 do
  local reply = approved_before(guesses[i])
  if reply then return reply end
end
if recovery_token ~= '' then
  local reply = approved_before(recovery_token)
  if reply then return reply end
end

-- Asked before anything is written: it is an error while it is not known what the store has forgotten.
local first = {}
for i = 1, #guesses, 2 do
  local _, _, _, _, period_s = facts_of(subject_key, guesses[i])
  first[i] = period_s and period_s ~= '' and first_step(field(guesses[i] .. Factor.RUN), period_s, now)
end
local before = field(Subject.WRONG)
local in_a_row, last, generation = read_tries(before)
local wait = tries_wait(in_a_row, last, now)
if wait then
  -- The next look must not find a time of the future again: the person would wait until the clock is there.
  if last > now then redis.call('HSET', subject_key, Subject.WRONG, pack_tries(in_a_row, now, generation)) end
  return {operation, 'limited', int(wait), is_for_ever(before, most_in_a_row) and '1' or ''}
end
in_a_row = in_a_row + 1
redis.call('HSET', subject_key, Subject.APP, app, Subject.WRONG, pack_tries(in_a_row, now, generation))

local function approve(token, kind, fields, left)
  local events = {factor_event('factor.approved', token, {kind = kind, purpose = purpose, codes_left = left})}
  if left == 3 then events[2] = factor_event('factor.codes_low', token, {kind = kind, codes_left = left}) end
  for _, value in ipairs({token .. Factor.USED, int(now), token .. Factor.APPROVED_BY, operation, Subject.WRONG,
    pack_tries(0, 0, generation + 1)}) do fields[#fields + 1] = value end
  redis.call('HSET', subject_key, unpack(fields))
  redis.call('SET', factor_receipt_key, string.format(FactorReceipt.PACK, store_run(), '', ''), 'PX', receipt_ms)
  keep_subject(subject_key)
  record_events(audit_key, events)
  return approved(token, kind, int(now), left and int(left))
end

-- What was used before: the try is given back, and the first such use is on record.
local function used_before(token, kind, mark, value)
  if before then redis.call('HSET', subject_key, Subject.WRONG, before)
  else redis.call('HDEL', subject_key, Subject.WRONG) end
  keep_subject(subject_key, most_in_a_row)
  if field(mark) ~= value then
    redis.call('HSET', subject_key, mark, value)
    record_events(audit_key, {factor_event('factor.code_used', token, {kind = kind})})
  end
  return {operation, 'used', token}
end

local spent, spent_kind, spent_step
for i = 1, #guesses, 2 do
  local token, step = guesses[i], guesses[i + 1] + 0
  local kind, _, _, _, period_s = facts_of(subject_key, token)
  local last_step = kind and tonumber(field(token .. Factor.STEP) or nil)
  local drift = kind and step - math.floor(now / (period_s * 1000))
  if last_step and drift >= -1 and drift <= 1 then
    if step > last_step and step >= first[i] then
      return approve(token, kind, {token .. Factor.STEP, int(step), token .. Factor.DRIFT, int(drift),
        token .. Factor.RUN, store_run()})
    end
    spent, spent_kind, spent_step = token, kind, int(step)
  end
end
if recovery_token ~= '' then
  local name = recovery_token .. Factor.CODE .. digest
  local state, kind = field(name), facts_of(subject_key, recovery_token)
  if kind and state == CodeState.UNUSED then
    local left = redis.call('HINCRBY', subject_key, recovery_token .. Factor.LEFT, -1)
    return approve(recovery_token, kind, {name, CodeState.USED}, left)
  elseif kind and state then
    return used_before(recovery_token, kind, name, CodeState.REPLAYED)
  end
end
if spent then return used_before(spent, spent_kind, spent .. Factor.REPLAYED, spent_step) end
if more == '1' then
  keep_subject(subject_key, most_in_a_row)
  return {operation, 'taken', int(generation), int(tries_left(in_a_row))}
end
keep_subject(subject_key, most_in_a_row)
local free = tries_left(in_a_row)
append_audit(audit_key, {app = app}, audit_event('factor.check_failed', nil,
  cjson.encode({sub = sub, purpose = purpose, checks_left = free})))
return {operation, 'wrong', int(free)}
