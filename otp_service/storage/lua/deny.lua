#!lua
-- include: _common.lua
-- include: _ending.lua
-- The person answered a code's message with "that wasn't me".
--
-- KEYS  1 record  2 secrets  3 audit  4 timeline  5 timers  6 event mark
-- ARGV  id's body · apps that know the word 'a,b' · senders that the answer can have been written to 'x,y' ·
--       ms at which it was written · ms that the carrier's clock may differ · event ttl ms · tombstone ms
-- Reply 'denied' · 'duplicate' · 'no': ended before, of another app, or nothing of it had reached the person
-- Holds an answer counts once, and only for a code that one of these senders may have brought before it was written.
local body, apps, senders, at, skew, event_ttl, tombstone = unpack(ARGV)
local function among(list, word)
  return string.find(',' .. list .. ',', ',' .. word .. ',', 1, true) ~= nil
end
local r = redis.call('HMGET', KEYS[1], 'app', 'status', 'expires', 'mask', 'nh', 'dn')
local now = clock()
if r[2] ~= 'pending' or now >= tonumber(r[3]) or not among(apps, r[1]) then return 'no' end
local asked
for n = 1, tonumber(r[6]) do
  local d = redis.call('HMGET', KEYS[1], n .. ':snd', n .. ':q', n .. ':try')
  if d[3] and among(senders, d[1]) and tonumber(d[2]) <= at + skew then asked = n end
end
if not asked then return 'no' end
if not redis.call('SET', KEYS[6], '1', 'NX', 'PX', event_ttl) then return 'duplicate' end
finish(KEYS[1], KEYS[2], KEYS[4], KEYS[5], body, 'denied', now, tombstone)
record(KEYS[3], KEYS[4], {rec = KEYS[1], vid = body, app = r[1], mask = r[4], nh = r[5]}, 'verification.denied', now,
  'dlv_' .. body .. '-' .. asked)
return 'denied'
