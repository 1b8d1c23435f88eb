#!lua
-- include: _common.lua
-- include: _ending.lua
-- Withdraw a pending verification.
--
-- KEYS  1 record  2 secrets  3 audit  4 timeline  5 timers
-- ARGV  op id · id's body · app · tombstone ms
-- Reply {op, 'canceled'} · {op, 'ended', status} · {op, 'not_found'}
-- Holds a repeat of the same operation gets the first answer; an ended verification does not change.
local op, body, app, tombstone = unpack(ARGV)
local r = redis.call('HMGET', KEYS[1], 'app', 'status', 'expires', 'mask', 'nh', 'cancel_op')
if r[1] ~= app or not r[2] then return {op, 'not_found'} end
if r[6] == op then return {op, 'canceled'} end
local now = clock()
local who = {rec = KEYS[1], vid = body, app = app, mask = r[4], nh = r[5], op = op}
if r[2] == 'pending' and now >= tonumber(r[3]) then
  finish(KEYS[1], KEYS[2], KEYS[4], KEYS[5], body, 'expired', now, tombstone)
  record(KEYS[3], KEYS[4], who, 'verification.expired', now)
  return {op, 'ended', 'expired'}
end
if r[2] ~= 'pending' then return {op, 'ended', r[2]} end
redis.call('HSET', KEYS[1], 'cancel_op', op)
finish(KEYS[1], KEYS[2], KEYS[4], KEYS[5], body, 'canceled', now, tombstone)
record(KEYS[3], KEYS[4], who, 'verification.canceled', now)
return {op, 'canceled'}
