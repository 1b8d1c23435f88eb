#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: optout/_index.lua
-- Record that a person opted out of a messaging profile or in again, as of `at_ms`. `state` '1': out.
--
-- KEYS optouts! audit! event! opted_out! run webhooks!
-- ARGV profile state at_ms keyword source mask number_hash event_ttl_ms webhook sealed_webhook
-- Where webhook: the commitment to the webhook that says so, or '' · sealed_webhook: its bytes
-- Reply 'changed' · 'same' · 'duplicate' · 'older'
-- Holds the latest one wins whatever the order of arrival; at the same moment, out wins; a time ahead of the store's
--       clock is the store's clock, so it cannot beat what the person says next.
if event_ttl_ms ~= '0' and not redis.call('SET', event_key, '1', 'NX', 'PX', event_ttl_ms) then return 'duplicate' end
local now = clock()
local at = math.min(tonumber(at_ms), now)
local old_state, old_at = string.match(redis.call('HGET', optouts_key, profile) or '', OptoutEntry.PARSE)

local function is_older()
  if not old_state or not tonumber(old_at) then return false end
  local then_at = math.min(tonumber(old_at), now)
  return at < then_at or (at == then_at and state ~= '1')
end

if is_older() then return 'older' end
redis.call('HSET', optouts_key, profile, string.format(OptoutEntry.PACK, state, int(at), keyword, source))
index_optouts(optouts_key, opted_out_key, number_hash, mask)
if old_state == state then return 'same' end
local who = {mask = mask, number_hash = number_hash,
  webhook = {key = webhooks_key, commitment = webhook, sealed = sealed_webhook}}
append_audit(audit_key, who, audit_event(
  state == '1' and 'optout.added' or 'optout.removed', nil,
  cjson.encode({messaging_profile_id = profile, keyword = keyword, source = source})))
return 'changed'
