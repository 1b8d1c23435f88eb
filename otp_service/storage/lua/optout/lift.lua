#!lua
-- include: _common.lua
-- include: optout/_index.lua
-- Remove an opt-out that the carrier's full list does not hold any more. `entry`: as it was read before the list.
--
-- KEYS optouts! audit! opted_out!
-- ARGV profile entry mask number_hash
-- Reply 1, or 0 if the entry has changed since: then nothing changes
-- Holds an opt-out that came while the list was read is never lost. The entry is forgotten rather than turned into an
--       opt-in, so that the list can bring it back with its old time.
if redis.call('HGET', optouts_key, profile) ~= entry then return 0 end
redis.call('HDEL', optouts_key, profile)
index_optouts(optouts_key, opted_out_key, number_hash, mask)
append_audit(audit_key, {mask = mask, number_hash = number_hash}, audit_event('optout.removed', nil,
  cjson.encode({messaging_profile_id = profile, source = 'list'})))
return 1
