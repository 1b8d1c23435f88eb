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
-- Holds a second run changes nothing but the time. A number that is not bound by then is forgotten by itself. Purposes
--       are the caller's words, and the hash of a subject with a factor has no end: once there are many fields, codes that
--       nobody can type any more are forgotten.
local SENT_MS, MANY_FIELDS = 86400000, 64
local function forget_old(now)
  if redis.call('HLEN', subject_key) <= MANY_FIELDS then return end
  local found = redis.call('HGETALL', subject_key)
  for i = 1, #found, 2 do
    if string.sub(found[i], 1, #Subject.SENT) == Subject.SENT then
      local at = select(4, string.match(found[i + 1], SentCode.PARSE))
      if tonumber(at or 0) < now - SENT_MS then redis.call('HDEL', subject_key, found[i]) end
    end
  end
end
local now = clock()
redis.call('HSET', subject_key, Subject.APP, app, Subject.SENT .. purpose,
  string.format(SentCode.PACK, verification, number, binds, int(now)))
forget_old(now)
keep_subject(subject_key)
if sealed ~= '' then
  redis.call('HSET', enrollment_key, PendingSecret.SEALED, sealed)
  redis.call('PEXPIRE', enrollment_key, kept_ms)
end
return 1
