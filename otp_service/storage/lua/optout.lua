#!lua
-- include: _common.lua
-- include: _optouts.lua
-- Write a person's wish to opt out of a messaging profile, or in again.
--
-- KEYS  1 optouts  2 audit  3 event mark  4 index of opted-out numbers
-- ARGV  profile · '1' out, '0' in · ms it was said · keyword · source · mask · number hash · event ttl ms ('0': none)
-- Reply 'changed' · 'same' · 'duplicate' · 'older'
-- Holds the latest wish wins whatever the order of arrival; at the same moment, out wins; a time ahead of the store's
--       clock is the store's clock, so it cannot beat what the person says next.
local profile, out, at, keyword, source, mask, nh, event_ttl = unpack(ARGV)
if event_ttl ~= '0' and not redis.call('SET', KEYS[3], '1', 'NX', 'PX', event_ttl) then return 'duplicate' end
local now = clock()
at = math.min(tonumber(at), now)
local was, was_at = string.match(redis.call('HGET', KEYS[1], profile) or '', '^(%d)|(%d+)|')
if was then
  was_at = math.min(tonumber(was_at), now)
  if at < was_at or (at == was_at and out ~= '1') then return 'older' end
end
redis.call('HSET', KEYS[1], profile, out .. '|' .. int(at) .. '|' .. keyword .. '|' .. source)
index_optouts(KEYS[1], KEYS[4], nh, mask)
if was == out then return 'same' end
record(KEYS[2], nil, {vid = '', app = '', mask = mask, nh = nh}, out == '1' and 'optout.added' or 'optout.removed',
  now, nil, cjson.encode({messaging_profile_id = profile, keyword = keyword, source = source}))
return 'changed'
