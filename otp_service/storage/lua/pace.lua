#!lua
-- include: _place.lua
-- Reserve a sender's next place in time, evenly spaced.
--
-- KEYS  1 sender rate
-- ARGV  messages a second · milliseconds the caller would wait at most
-- Reply milliseconds to wait before sending; negative: that many to wait, which is too long, and nothing is reserved
-- Holds two messages of a sender are at least one interval apart, over all workers; a clock that is set back stops no
--       sender.
local now = micros()
local at = reserved(KEYS[1], now)
local wait = math.ceil((at - now) / 1000)
if wait > tonumber(ARGV[2]) then return -wait end
reserve(KEYS[1], at + 1000000 / ARGV[1], now, 1000)
return wait
