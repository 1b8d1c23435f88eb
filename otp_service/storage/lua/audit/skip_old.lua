#!lua
-- include: _common.lua
-- Let a group that was away for long go on with what is no older than `most_ms`.
--
-- KEYS audit!
-- ARGV group most_ms
-- Reply 1 if something may have been skipped, else 0
-- Holds the store's clock, which dated the events, judges their age; a group is never set back.
local PORTION = 500
local oldest = int(math.max(0, clock() - most_ms))
local skipped = 0
for _, facts in ipairs(redis.call('XINFO', 'GROUPS', audit_key)) do
  local known = {}
  for i = 1, #facts, 2 do known[facts[i]] = facts[i + 1] end
  local last = tonumber((string.match(known['last-delivered-id'], '^%d+')))
  if known.name == group and last < tonumber(oldest) then
    redis.call('XGROUP', 'SETID', audit_key, group, oldest .. '-0')
    skipped = 1
  end
end
-- What was taken so long ago and never done is not told either.
while true do
  local taken = redis.call('XPENDING', audit_key, group, '-', oldest .. '-0', PORTION)
  if #taken == 0 then return skipped end
  local entries = {}
  for i, one in ipairs(taken) do entries[i] = one[1] end
  redis.call('XACK', audit_key, group, unpack(entries))
  skipped = 1
end
