#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Remember which code was sent to a subject last for a purpose.
--
-- KEYS subject! enrollment! run
-- ARGV app purpose verification number binds sealed kept_ms
-- Where verification: the token of its id · number: keyed hash of the number · binds '1': its approval may bind the
--       number to the subject · sealed: the number itself, '' if it is bound already · kept_ms: for so long that is kept
-- Reply 1
-- Holds a second run changes nothing. A number that is not bound by then is forgotten by itself.
redis.call('HSET', subject_key, Subject.APP, app, Subject.SENT .. purpose,
  string.format(SentCode.PACK, verification, number, binds))
keep_subject(subject_key)
if sealed ~= '' then
  redis.call('HSET', enrollment_key, PendingSecret.SEALED, sealed)
  redis.call('PEXPIRE', enrollment_key, kept_ms)
end
return 1
