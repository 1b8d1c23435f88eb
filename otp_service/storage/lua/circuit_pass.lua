#!lua
-- May a message go through this breaker? If it is time for a probe, the asker's message is it.
--
-- KEYS  1 circuit
-- ARGV  ms that a probe may take · longest pause ms
-- Reply {1, 0} it may · {1, 1} it may, as a probe · {0, ms until the next one may, carrier's code, title, '1' if the carrier asked for the pause}
-- Holds one probe at a time; a clock that is set back makes no pause longer than the longest one.
local r = redis.call('HMGET', KEYS[1], 'until', 'probe', 'every', 'code', 'title', 'lasting')
if not r[1] then return {1, 0} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local at = math.min(r[2], now + math.max(r[3] or 0, ARGV[2]))
if now >= at then
  -- Past its end the breaker waits for a probe that comes back; until then the next one is the probe's own affair.
  local gap = now < tonumber(r[1]) and r[3] or ARGV[1]
  redis.call('HSET', KEYS[1], 'probe', string.format('%.0f', now + gap))
  return {1, 1}
end
return {0, at - now, r[4], r[5], r[6]}
