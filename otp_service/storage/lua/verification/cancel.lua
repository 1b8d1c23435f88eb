#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: _ending.lua
-- Cancel a pending verification.
--
-- KEYS record! secrets! audit! run
-- ARGV operation token number_hash app
-- Reply {operation, 'canceled'} · {operation, 'ended', status} · {operation, 'not_found'}
-- Holds a repeat of the same operation gets the first reply; an ended verification does not change.
local facts, status, expires, canceled_by, version, born = unpack(redis.call('HMGET', record_key, Record.FACTS,
  Record.STATUS, Record.EXPIRES, Record.CANCEL_OPERATION, Record.VERSION, Record.RUN))
local who = subject_of(record_key, token, number_hash, facts)
if who.app ~= app or not status then return {operation, 'not_found'} end
if canceled_by == operation then return {operation, 'canceled'} end
local now = clock()
local c = {audit = audit_key, secrets = secrets_key, now = now, who = who}
if status == 'pending' and has_expired(now, expires, created_at(facts), born) then
  end_verification(c, 'verification.expired', version)
  return {operation, 'ended', 'expired'}
end
if status ~= 'pending' then return {operation, 'ended', status} end
redis.call('HSET', record_key, Record.CANCEL_OPERATION, operation)
end_verification(c, 'verification.canceled', version)
return {operation, 'canceled'}
