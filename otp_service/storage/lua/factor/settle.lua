#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Settle a try that was taken for a code that was sent, after that code was judged on its number's shard.
--
-- KEYS subject! audit! run
-- ARGV operation app sub outcome row purpose verification number mask token kind
-- Where outcome: 'approved', or 'returned' for what was no judgement · row: the row of wrong codes that the try was
--       taken in · number: keyed hash of the number, mask: how it is shown · token: of a new factor, kind: its kind
-- Reply {operation, 'settled', token of the number's factor or ''} · {operation, 'not_bound'}
-- Holds an approval ends the row of wrong codes, and counts only for a number that is bound to the subject, or is bound
--       by it: where the start might do so, or where there is no factor yet. A try goes back into its own row only.
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
local found = redis.call('HGETALL', subject_key)
for i = 1, #found, 2 do
  local other = string.match(found[i], '^(.*)' .. Factor.NUMBER .. '$')
  if other and found[i + 1] == number then bound = other end
end
local sent, sent_to, binds = string.match(redis.call('HGET', subject_key, Subject.SENT .. purpose) or '',
  SentCode.PARSE)
local may_bind = tonumber(redis.call('HGET', subject_key, Subject.ACTIVE) or 0) == 0
  or (sent == verification and sent_to == number and binds == '1')
if not bound and not may_bind then return {operation, 'not_bound'} end
local events = {}
if not bound then
  bound = token
  redis.call('HSET', subject_key, Subject.APP, app, token .. Factor.LABEL, '', token .. Factor.NUMBER, number,
    token .. Factor.MASK, mask, token .. Factor.FACTS, string.format(FactorFacts.PACK, kind, now, '', '', ''))
  redis.call('HINCRBY', subject_key, Subject.ACTIVE, 1)
  events[1] = factor_event('factor.added', token, {kind = kind})
end
redis.call('HSET', subject_key, bound .. Factor.USED, now)
write_tries(0, 0, generation + 1)
keep_subject(subject_key)
events[#events + 1] = factor_event('factor.approved', bound, {kind = kind, purpose = purpose})
append_audit(audit_key, {token = verification, app = app, mask = mask, number_hash = number},
  table.concat(events, AuditEvents.SEPARATOR))
return {operation, 'settled', bound}
