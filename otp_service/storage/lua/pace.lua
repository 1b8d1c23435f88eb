#!lua
-- Reserve a sender's next place in time, evenly spaced.
--
-- KEYS  1 sender rate
-- ARGV  messages a second · milliseconds the caller would wait at most
-- Reply milliseconds to wait before sending; negative: that many to wait, which is too long, and nothing is reserved
-- Holds two messages of a sender are at least one interval apart, over all workers.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local wait = math.ceil((at - now) / 1000)
if wait > tonumber(ARGV[2]) then return -wait end
local after = at + 1000000 / ARGV[1]
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000) + 1000)
return wait
