#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Settle a try that was taken for a code that was sent, after that code was judged on its number's shard.
--
-- KEYS subject! audit! run [enrollment!]
-- ARGV operation app sub outcome row purpose verification number mask token kind replayed approved_ms test
-- Where outcome: 'approved', or 'returned' for what was no judgement · row: the row of wrong codes that the try was
--       taken in · number: keyed hash of the number, mask: how it is shown · token: of a new factor, kind: its kind ·
--       replayed '1': the approval of approved_ms is given again · test '1': of a test number
-- Reply {operation, 'settled', token of the number's factor or '', '1' if the number was bound by it, then tokens of the
--       subject's other numbers ...} · {operation, 'not_bound'}
-- Holds an approval ends the row of wrong codes, and counts only for a number that is bound to the subject, or is bound
--       by it: where the start might do so, or where there is no factor yet. A start binds once: a number that is removed
--       later needs a new proof. A try goes back into its own row only. A repeat of an approval that was settled
--       changes nothing and gets the first reply.
local in_a_row, last, generation = string.match(redis.call('HGET', subject_key, Subject.WRONG) or '', TriesInARow.PARSE)
in_a_row, last, generation = tonumber(in_a_row or 0), tonumber(last or 0), tonumber(generation or 0)
local function write_tries(count, at, number_of_row)
  redis.call('HSET', subject_key, Subject.WRONG,
    string.format(TriesInARow.PACK, int(count), int(at), int(number_of_row)))
end
if outcome == 'returned' then
  if generation == tonumber(row) and in_a_row > 0 then write_tries(in_a_row - 1, last, generation) end
  return {operation, 'settled', ''}
end
local now = int(clock())
local bound
local others = {}
local found = redis.call('HGETALL', subject_key)
for i = 1, #found, 2 do
  local other = string.match(found[i], '^([^:]*)' .. Factor.NUMBER .. '$')
  if other and found[i + 1] == number then bound = other elseif other then others[#others + 1] = other end
end
local function settled()
  local binds = redis.call('HGET', subject_key, bound .. Factor.BOUND_BY) == verification
  return {operation, 'settled', bound, binds and '1' or '', unpack(binds and others or {})}
end
if bound then
  local done, used = unpack(redis.call('HMGET', subject_key, bound .. Factor.APPROVED_BY, bound .. Factor.USED))
  if done == operation or (replayed == '1' and tonumber(used or 0) >= tonumber(approved_ms)) then return settled() end
end
local sent, sent_to, binds, sent_at = string.match(redis.call('HGET', subject_key, Subject.SENT .. purpose) or '',
  SentCode.PARSE)
local may_bind = tonumber(redis.call('HGET', subject_key, Subject.ACTIVE) or 0) == 0
  or (sent == verification and sent_to == number and binds == '1')
if not bound and not may_bind then return {operation, 'not_bound'} end
local events = {}
if not bound then
  bound = token
  local fields = {Subject.APP, app, token .. Factor.LABEL, '', token .. Factor.NUMBER, number, token .. Factor.MASK,
    mask, token .. Factor.BOUND_BY, verification, token .. Factor.FACTS,
    string.format(FactorFacts.PACK, kind, now, '', '', '')}
  local sealed = redis.call('HGET', enrollment_key, PendingSecret.SEALED)
  if sealed then add_pieces(fields, token .. Factor.SEALED, sealed) end
  redis.call('HSET', subject_key, unpack(fields))
  redis.call('DEL', enrollment_key)
  redis.call('HDEL', subject_key, Subject.MAY_BIND)
  if binds == '1' and sent_to == number then
    redis.call('HSET', subject_key, Subject.SENT .. purpose,
      string.format(SentCode.PACK, sent, sent_to, '0', sent_at))
  end
  if #others > 0 then redis.call('HSET', subject_key, Subject.UNTOLD, verification) end
  redis.call('HINCRBY', subject_key, Subject.ACTIVE, 1)
  events[1] = factor_event('factor.added', token, {kind = kind, test = test == '1' or nil})
end
redis.call('HSET', subject_key, bound .. Factor.USED, now, bound .. Factor.APPROVED_BY, operation)
write_tries(0, 0, generation + 1)
keep_subject(subject_key)
events[#events + 1] = factor_event('factor.approved', bound, {kind = kind, purpose = purpose, test = test == '1' or nil})
append_audit(audit_key, {token = verification, app = app, mask = mask, number_hash = number},
  table.concat(events, AuditEvents.SEPARATOR))
return settled()
