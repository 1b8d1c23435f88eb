#!lua
-- include: _common.lua
-- Queue an alert to the people on call, unless they got one about the same trouble within `quiet_ms`.
--
-- KEYS alerts! alert_quiet!
-- ARGV digest text quiet_ms most_waiting
-- Reply 1 if it was queued
-- Holds one alert for one trouble in a while, over all processes; a carrier in trouble cannot fill the store.
if redis.call('ZCARD', alerts_key) >= tonumber(most_waiting) then return 0 end
if not redis.call('SET', alert_quiet_key, '1', 'NX', 'PX', quiet_ms) then return 0 end
local now = int(clock())
redis.call('ZADD', alerts_key, now, string.format(AlertEntry.PACK, now .. '-' .. digest, text))
return 1
