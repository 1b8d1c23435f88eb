#!lua
-- include: _common.lua
-- Record an event that belongs to no verification, at most one of its kind in a while: callers must not fill the record.
--
-- KEYS  1 audit  2 throttle mark
-- ARGV  type · detail JSON · throttle ms ('0': always) · app it belongs to or '' · mask and hash of the number
--       it is about, or '' twice
-- Reply 1 if it was recorded
-- Holds no state changes but the record.
if ARGV[3] ~= '0' and not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 0 end
record(KEYS[1], nil, {vid = '', app = ARGV[4], mask = ARGV[5], nh = ARGV[6]}, ARGV[1], clock(), nil, ARGV[2])
return 1
