#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: optout/_index.lua
-- Forget opt-outs of a number, because a person who supports its owner says so.
--
-- KEYS optouts! audit! opted_out! run
-- ARGV of_app mask number_hash reason profiles...
-- Where of_app: whose event it is, or ''
-- Reply the messaging profiles that the number was opted out of
-- Holds each opt-out that goes is an event with its reason. It is forgotten rather than turned into an opt-in: a block
--       that the carrier holds comes back with its list, for only the person's START ends that one.
local lifted = {}
for _, profile in ipairs(profiles) do
  local entry = redis.call('HGET', optouts_key, profile)
  -- The first letter alone decides: a damaged entry still counts as opted out.
  if entry and string.sub(entry, 1, 1) == '1' then
    redis.call('HDEL', optouts_key, profile)
    lifted[#lifted + 1] = profile
    append_audit(audit_key, {app = of_app, mask = mask, number_hash = number_hash}, audit_event('optout.removed', nil,
      cjson.encode({messaging_profile_id = profile, source = 'support', reason = reason})))
  end
end
if #lifted > 0 then index_optouts(optouts_key, opted_out_key, number_hash, mask) end
return lifted
