#!lua
-- include: _common.lua
-- include: _ending.lua
-- Cancel a pending verification.
--
-- KEYS record! secrets! audit! timers!
-- ARGV operation token app tombstone_ms
-- Reply {operation, 'canceled'} · {operation, 'ended', status} · {operation, 'not_found'}
-- Holds a repeat of the same operation gets the first reply; an ended verification does not change.
local of_app, status, expires, mask, number_hash, canceled_by, version = unpack(redis.call('HMGET', record_key,
  Record.APP, Record.STATUS, Record.EXPIRES, Record.MASK, Record.NUMBER_HASH, Record.CANCEL_OPERATION, Record.VERSION))
if of_app ~= app or not status then return {operation, 'not_found'} end
if canceled_by == operation then return {operation, 'canceled'} end
local now = clock()
local c = {audit = audit_key, secrets = secrets_key, timers = timers_key, now = now, who = {record = record_key,
  token = token, app = app, mask = mask, number_hash = number_hash, operation = operation}}
if status == 'pending' and now >= tonumber(expires) then
  end_verification(c, 'verification.expired', version, tombstone_ms)
  return {operation, 'ended', 'expired'}
end
if status ~= 'pending' then return {operation, 'ended', status} end
redis.call('HSET', record_key, Record.CANCEL_OPERATION, operation)
end_verification(c, 'verification.canceled', version, tombstone_ms)
return {operation, 'canceled'}
