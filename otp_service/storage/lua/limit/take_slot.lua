#!lua
-- include: _slots.lua
-- Take one slot of a limit, or give it back (generic cell rate algorithm: one number per subject).
--
-- KEYS limit!
-- ARGV events window_ms slots
-- Where slots: '1' takes one, '0' looks whether one is free, '-1' gives one back
-- Reply milliseconds until a slot is free; 0 if one was taken (is free, was given back)
-- Holds never more than `events` are taken at once, nor more than `events` a window on from there; a clock that is set
--       back refuses nobody for longer than the window.
local now = micros()
local window = window_ms * 1000
local step = window / events
local after = reserved_until(limit_key, now) + step * (slots == '-1' and -1 or 1)
if slots ~= '-1' and after - now > window + 1 then return math.ceil((after - now - window) / 1000) end
if slots == '0' then return 0 end
if after > now then
  reserve_until(limit_key, after, now, 0)
else
  redis.call('DEL', limit_key)
end
return 0
