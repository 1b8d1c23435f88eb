#!lua
-- include: _common.lua
-- Note in the timeline that the link of a message was followed.
--
-- KEYS  1 record  2 audit  3 timeline  4 event mark
-- ARGV  id's body · delivery id · event ttl ms
-- Reply 'noted' · 'duplicate' · 'unknown'
-- Holds a click is noted once and changes nothing else.
if redis.call('EXISTS', KEYS[1]) == 0 then return 'unknown' end
if not redis.call('SET', KEYS[4], '1', 'NX', 'PX', ARGV[3]) then return 'duplicate' end
local r = redis.call('HMGET', KEYS[1], 'app', 'mask', 'nh')
record(KEYS[2], KEYS[3], {rec = KEYS[1], vid = ARGV[1], app = r[1], mask = r[2], nh = r[3]}, 'delivery.link_clicked', clock(), ARGV[2])
return 'noted'
