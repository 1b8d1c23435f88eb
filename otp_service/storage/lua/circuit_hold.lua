#!lua
-- Open a breaker because the carrier says that nothing will go out for a while.
--
-- KEYS  1 circuit
-- ARGV  ms it stays open ('0': to midnight UTC) · ms between two probes · carrier's code · title
-- Reply 'opened' · 'open': it was open for this reason already
-- Holds a repeat of the word keeps the time of the next probe.
local for_ms, every, code, title = unpack(ARGV)
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function int(n) return string.format('%.0f', n) end
local ends = for_ms ~= '0' and now + for_ms or (math.floor(now / 86400000) + 1) * 86400000
local r = redis.call('HMGET', KEYS[1], 'until', 'probe', 'code')
local known = r[1] and r[3] == code and now < tonumber(r[1])
local probe = known and math.max(tonumber(r[2]), now) or math.min(now + every, ends)
redis.call('HSET', KEYS[1], 'until', int(ends), 'probe', int(probe), 'every', every, 'opens', 1, 'code', code,
  'title', title, 'lasting', '1')
redis.call('PEXPIRE', KEYS[1], int(ends - now + 3600000))
return known and 'open' or 'opened'
