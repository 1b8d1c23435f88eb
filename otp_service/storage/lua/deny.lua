#!lua
-- include: _common.lua
-- include: _ending.lua
-- The person answered a code's message with "that wasn't me".
--
-- KEYS  1 record  2 secrets  3 audit  4 timeline  5 timers
-- ARGV  id's body · apps that know the word 'a,b' · senders that the answer can have been written to 'x,y' ·
--       ms before which the code must have gone out · tombstone ms
-- Reply 'denied' · 'no': ended before, of another app, or nothing of it can have reached the person by then
-- Holds an answer counts only for a code that one of these senders may have brought before it was written.
local body, apps, senders, before, tombstone = unpack(ARGV)
local function among(list, word)
  return string.find(',' .. list .. ',', ',' .. word .. ',', 1, true) ~= nil
end
local r = redis.call('HMGET', KEYS[1], 'app', 'status', 'expires', 'mask', 'nh', 'dn')
local now = clock()
if r[2] ~= 'pending' or now >= tonumber(r[3]) or not among(apps, r[1]) then return 'no' end
local asked
for n = 1, tonumber(r[6]) do
  local d = redis.call('HMGET', KEYS[1], n .. ':snd', n .. ':out', n .. ':mid', n .. ':try', n .. ':home', n .. ':st')
  -- The carrier has it, or may have it: a try whose answer is lost, or under way.
  local gone = d[3] or ((d[6] == 'unknown' or d[6] == 'sending') and tonumber(d[4] or 0) > tonumber(d[5] or 0))
  if gone and d[2] and among(senders, d[1]) and tonumber(d[2]) <= tonumber(before) then asked = n end
end
if not asked then return 'no' end
finish(KEYS[1], KEYS[2], KEYS[4], KEYS[5], body, 'denied', now, tombstone)
record(KEYS[3], KEYS[4], {rec = KEYS[1], vid = body, app = r[1], mask = r[4], nh = r[5]}, 'verification.denied', now,
  'dlv_' .. body .. '-' .. asked)
return 'denied'
