#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Remember which code was sent to a subject last for a purpose.
--
-- KEYS subject! run
-- ARGV app purpose verification number binds sealed
-- Where verification: the token of its id · number: keyed hash of the number · binds '1': its approval may bind the
--       number to the subject · sealed: the number itself, '' if it is bound already
-- Reply 1
-- Holds a second run changes nothing.
local before = string.match(redis.call('HGET', subject_key, Subject.SENT .. purpose) or '', SentCode.PARSE)
if before and before ~= verification then forget_factor(subject_key, before) end
local fields = {Subject.APP, app, Subject.SENT .. purpose, string.format(SentCode.PACK, verification, number, binds)}
if sealed ~= '' then add_pieces(fields, verification .. Factor.SEALED, sealed) end
redis.call('HSET', subject_key, unpack(fields))
keep_subject(subject_key)
return 1
