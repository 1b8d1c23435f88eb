#!lua
-- Count how a sender's delivery ended, in a window of a few portions of time.
--
-- KEYS  1 tally
-- ARGV  'd' delivered or 'f' failed · ms of a portion · portions kept
-- Reply 1
-- Holds counts older than the window are gone.
local kind, portion, kept = unpack(ARGV)
local t = redis.call('TIME')
local now = math.floor((t[1] * 1000 + math.floor(t[2] / 1000)) / portion)
redis.call('HINCRBY', KEYS[1], kind .. ':' .. string.format('%.0f', now), 1)
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local at = string.match(field, '^[df]:(%d+)$')
  if at and tonumber(at) <= now - kept then redis.call('HDEL', KEYS[1], field) end
end
redis.call('PEXPIRE', KEYS[1], portion * kept)
return 1
