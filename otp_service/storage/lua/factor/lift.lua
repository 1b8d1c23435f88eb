#!lua
-- include: _common.lua
-- include: factor/_subject.lua
-- Take away a subject's wrong codes in a row.
--
-- KEYS subject! audit!
-- ARGV app sub reason
-- Reply how many there were
-- Holds a second run finds none and records nothing.
local in_a_row, _, generation = string.match(redis.call('HGET', subject_key, Subject.WRONG) or '', TriesInARow.PARSE)
if tonumber(in_a_row or 0) == 0 then return 0 end
redis.call('HSET', subject_key, Subject.WRONG, string.format(TriesInARow.PACK, 0, 0, int(generation + 1)))
keep_subject(subject_key)
append_audit(audit_key, {app = app}, audit_event('factor.lifted', nil,
  cjson.encode({sub = sub, reason = reason, wrong_codes = tonumber(in_a_row)})))
return tonumber(in_a_row)
