#!lua
-- Count what the carrier said of a scope when it met one number's message. Said of enough different numbers, or of a
-- probe, it opens the breaker.
--
-- KEYS  1 circuit  2 refusals
-- ARGV  ms it stays open ('0': to midnight UTC) · ms between two probes · carrier's code · title · keyed hash of the
--       number · different numbers that it takes · ms in which they are met · '1' if the message was let through as a
--       probe
-- Reply 'opened' · 'open': it was open for this reason already, or is open for longer · 'counted': not enough yet
-- Holds one number never opens a breaker alone where it takes several; a repeat keeps the time of the next probe.
local for_ms, every, code, title, number, after, window, probe = unpack(ARGV)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
local r = redis.call('HMGET', KEYS[1], 'until', 'probe', 'code', 'lasting')
local held = r[1] and r[4] == '1'
local known = held and r[3] == code and now < tonumber(r[1])

-- The newest numbers, each once, as many as it takes.
local met = {number .. ':' .. int(now)}
for other, at in string.gmatch(redis.call('HGET', KEYS[2], code) or '', '([^,:]+):(%d+)') do
  if other ~= number and at + window > now and #met < tonumber(after) then met[#met + 1] = other .. ':' .. at end
end
redis.call('HSET', KEYS[2], code, table.concat(met, ','))
redis.call('PEXPIRE', KEYS[2], window)

if #met < tonumber(after) and not known and not (held and probe == '1') then
  -- It is an answer all the same: a row of faults ends, and a probe ends the pause that they made.
  if not r[1] or (not held and probe == '1') then redis.call('DEL', KEYS[1]) end
  return 'counted'
end
local ends = for_ms ~= '0' and now + for_ms or (math.floor(now / 86400000) + 1) * 86400000
if held and not known and tonumber(r[1]) > ends then return 'open' end
local next_probe = known and math.max(tonumber(r[2]), now) or math.min(now + every, ends)
redis.call('HSET', KEYS[1], 'until', int(ends), 'probe', int(next_probe), 'every', every, 'opens', 1, 'code', code,
  'title', title, 'lasting', '1')
redis.call('HDEL', KEYS[1], 'seen')
redis.call('PEXPIRE', KEYS[1], int(ends - now + 3600000))
return known and 'open' or 'opened'
