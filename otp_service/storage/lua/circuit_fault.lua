#!lua
-- Count a fault of a sender; those of so many numbers in a row open its breaker, and so does each probe that fails.
--
-- KEYS  1 circuit
-- ARGV  numbers in a row · ms that a row may last · first pause ms · longest pause ms · ms a probe may take · reason ·
--       '1' if the message was let through as a probe · keyed hash of the number
-- Reply 'opened' · 'counted' · 'open': it was open when this message came back, and the message was no probe
-- Holds one number counts once, however often its message is retried; the pause doubles with every failed probe; a
--       hold that the carrier asked for is not shortened.
local trips, window, first_pause, longest, lease, reason, probe, number = unpack(ARGV)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
local r = redis.call('HMGET', KEYS[1], 'until', 'opens', 'faults', 'first', 'seen')
local opens = tonumber(r[2] or 0)
if r[1] and (now < tonumber(r[1]) or probe ~= '1') then return 'open' end
if not r[1] then
  local faults, first, seen = tonumber(r[3] or 0), tonumber(r[4] or now), r[5] or ''
  if now - first > tonumber(window) then faults, first, seen = 0, now, '' end
  if string.find(seen, number .. ',', 1, true) then return 'counted' end
  redis.call('HSET', KEYS[1], 'faults', faults + 1, 'first', int(first), 'title', reason, 'seen', seen .. number .. ',')
  redis.call('PEXPIRE', KEYS[1], window)
  if faults + 1 < tonumber(trips) then return 'counted' end
end
local pause = math.min(longest, first_pause * 2 ^ opens)
redis.call('HSET', KEYS[1], 'until', int(now + pause), 'probe', int(now + pause), 'every', lease, 'opens', opens + 1,
  'code', 'sender_down', 'title', reason, 'lasting', '0')
redis.call('HDEL', KEYS[1], 'seen')
redis.call('PEXPIRE', KEYS[1], int(pause + 10 * longest))
return 'opened'
