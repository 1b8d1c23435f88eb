#!lua
-- Take one place in a limit, or give it back (generic cell rate algorithm: one number per subject).
--
-- KEYS  1 limit
-- ARGV  events · per ms · '1' take, '-1' give back
-- Reply milliseconds until a place is free; 0 if one was taken (or given back)
-- Holds never more than `events` are taken at once, nor more than `events` a window on from there.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local window = ARGV[2] * 1000
local step = window / ARGV[1]
local at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local after = at + step * ARGV[3]
if ARGV[3] == '1' and after - now > window + 1 then return math.ceil((after - now - window) / 1000) end
if after > now then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
else
  redis.call('DEL', KEYS[1])
end
return 0
