#!lua
-- Write down when an event was first heard of.
--
-- KEYS  1 event mark
-- ARGV  event ttl ms
-- Reply the store's milliseconds at the first hearing
-- Holds a repeat learns the time of the first one.
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
if redis.call('SET', KEYS[1], now, 'NX', 'PX', ARGV[1]) then return now end
return redis.call('GET', KEYS[1])
