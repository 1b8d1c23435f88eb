#!lua
-- include: _common.lua
-- include: _ending.lua
-- Cancel a pending verification.
--
-- KEYS record! secrets! audit! timeline! timers!
-- ARGV operation token app tombstone_ms
-- Reply {operation, 'canceled'} · {operation, 'ended', status} · {operation, 'not_found'}
-- Holds a repeat of the same operation gets the first reply; an ended verification does not change.
local r = redis.call('HMGET', record_key, Record.APP, Record.STATUS, Record.EXPIRES, Record.MASK, Record.NUMBER_HASH,
  Record.CANCEL_OPERATION)
if r[1] ~= app or not r[2] then return {operation, 'not_found'} end
if r[6] == operation then return {operation, 'canceled'} end
local now = clock()
local who = {rec = record_key, vid = token, app = app, mask = r[4], nh = r[5], op = operation}
if r[2] == 'pending' and now >= tonumber(r[3]) then
  finish(record_key, secrets_key, timeline_key, timers_key, token, 'expired', now, tombstone_ms)
  record(audit_key, timeline_key, who, 'verification.expired', now)
  return {operation, 'ended', 'expired'}
end
if r[2] ~= 'pending' then return {operation, 'ended', r[2]} end
redis.call('HSET', record_key, Record.CANCEL_OPERATION, operation)
finish(record_key, secrets_key, timeline_key, timers_key, token, 'canceled', now, tombstone_ms)
record(audit_key, timeline_key, who, 'verification.canceled', now)
return {operation, 'canceled'}
