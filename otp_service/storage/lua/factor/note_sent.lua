#!lua
-- include: _common.lua
-- include: factor/_subject.lua
-- Remember which code was sent to a subject last for a purpose.
--
-- KEYS subject!
-- ARGV app purpose verification number binds
-- Where verification: the token of its id · number: keyed hash of the number · binds '1': its approval may bind the
--       number to the subject
-- Reply 1
-- Holds a second run changes nothing.
redis.call('HSET', subject_key, Subject.APP, app, Subject.SENT .. purpose,
  string.format(SentCode.PACK, verification, number, binds))
keep_subject(subject_key)
return 1
