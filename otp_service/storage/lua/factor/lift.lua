#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Take away a subject's wrong codes in a row, or let it bind another number.
--
-- KEYS subject! audit! run
-- ARGV app sub reason bind_ms
-- Where bind_ms: for so long the subject may bind another number without proof; '' to lift the wrong codes
-- Reply how many wrong codes there were, or 1
-- Holds a second run lifts nothing more, and of wrong codes records nothing.
local in_a_row, _, generation = string.match(redis.call('HGET', subject_key, Subject.WRONG) or '', TriesInARow.PARSE)
local detail = {sub = sub, reason = reason}
if bind_ms ~= '' then
  redis.call('HSET', subject_key, Subject.APP, app, Subject.MAY_BIND, int(clock() + bind_ms))
  detail.may_bind = true
else
  if tonumber(in_a_row or 0) == 0 then return 0 end
  redis.call('HSET', subject_key, Subject.WRONG, string.format(TriesInARow.PACK, 0, 0, int(generation + 1)))
  detail.wrong_codes = tonumber(in_a_row)
end
keep_subject(subject_key)
append_audit(audit_key, {app = app}, audit_event('factor.lifted', nil, cjson.encode(detail)))
return bind_ms ~= '' and 1 or tonumber(in_a_row)
