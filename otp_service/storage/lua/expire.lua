#!lua
-- include: _common.lua
-- include: _ending.lua
-- End a verification whose time has run out; called when its timer is due.
--
-- KEYS  1 record  2 secrets  3 audit  4 timeline  5 timers
-- ARGV  id's body · tombstone ms
-- Reply 1 if it ended now, 0 if there was nothing to do (ended before, gone, or given more time by a repeat)
-- Holds a timer that fires early changes nothing: the record's own times decide.
local body, tombstone = unpack(ARGV)
local r = redis.call('HMGET', KEYS[1], 'status', 'expires', 'app', 'mask', 'nh', 'created')
local now = clock()
if r[1] == 'pending' and not is_over(now, r[2], r[6] or now) then
  redis.call('ZADD', KEYS[5], r[2], 'x:' .. body)
  return 0
end
if r[1] ~= 'pending' then
  redis.call('ZREM', KEYS[5], 'x:' .. body)
  return 0
end
finish(KEYS[1], KEYS[2], KEYS[4], KEYS[5], body, 'expired', now, tombstone)
record(KEYS[3], KEYS[4], {rec = KEYS[1], vid = body, app = r[3], mask = r[4], nh = r[5]}, 'verification.expired', now)
return 1
