#!lua
-- include: _common.lua
-- Drop the audit events that have been kept long enough.
--
-- KEYS audit!
-- ARGV kept_ms
-- Reply how many were dropped; some older ones may stay, since the store drops whole blocks
-- Holds the store's clock alone, which also dated the events, judges their age.
return redis.call('XTRIM', audit_key, 'MINID', '~', int(math.max(0, clock() - kept_ms)))
