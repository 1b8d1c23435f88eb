#!lua
-- Put an alert to the people on call into the queue, unless they were told of the same trouble lately.
--
-- KEYS  1 alarms  2 quiet mark
-- ARGV  digest of the trouble · text · quiet ms · most alerts that wait at once
-- Reply 1 if it was put there
-- Holds one alert for one trouble in a while, over all processes; a carrier in trouble cannot fill the store.
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 0 end
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
redis.call('ZADD', KEYS[1], now, now .. '-' .. ARGV[1] .. '\31' .. ARGV[2])
return 1
