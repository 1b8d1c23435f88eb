#!lua
-- include: _common.lua
-- include: _ending.lua
-- End a verification whose time has run out; called when its timer is due.
--
-- KEYS record! secrets! audit! timers!
-- ARGV token number_hash tombstone_ms
-- Reply 1 if it ended now, 0 if there was nothing to do (ended before, gone, or given more time by a resend)
-- Holds a timer that comes early changes nothing: the record's own times decide.
local facts, status, expires, version = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.STATUS,
  Record.EXPIRES, Record.VERSION))
local now = clock()
if status == 'pending' and not has_expired(now, expires, created_at(facts)) then
  redis.call('ZADD', timers_key, expires, TimerKind.EXPIRY .. token)
  return 0
end
if status ~= 'pending' then
  redis.call('ZREM', timers_key, TimerKind.EXPIRY .. token)
  return 0
end
local c = {audit = audit_key, secrets = secrets_key, timers = timers_key, now = now,
  who = subject_of(record_key, token, number_hash, facts)}
end_verification(c, 'verification.expired', version, tombstone_ms)
return 1
