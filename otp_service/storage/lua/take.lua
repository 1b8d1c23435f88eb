#!lua
-- include: _place.lua
-- Take one place in a limit, or give it back (generic cell rate algorithm: one number per subject).
--
-- KEYS  1 limit
-- ARGV  events · per ms · '1' take, '-1' give back
-- Reply milliseconds until a place is free; 0 if one was taken (or given back)
-- Holds never more than `events` are taken at once, nor more than `events` a window on from there; a clock that is set
--       back refuses nobody for longer than the window.
local now = micros()
local window = ARGV[2] * 1000
local step = window / ARGV[1]
local after = reserved(KEYS[1], now) + step * ARGV[3]
if ARGV[3] == '1' and after - now > window + 1 then return math.ceil((after - now - window) / 1000) end
if after > now then
  reserve(KEYS[1], after, now, 0)
else
  redis.call('DEL', KEYS[1])
end
return 0
