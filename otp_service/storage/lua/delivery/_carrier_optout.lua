-- Shared by the scripts that learn from the carrier that a person is on its block list. Needs _delivery.lua.
-- `profile`: nil if this process does not know the sender; then the carrier's own list is all that knows it.
local function add_carrier_optout(c, opted_out, n, profile)
  if not profile then return end
  redis.call('HSET', c.optouts, profile, string.format(OptoutEntry.PACK, '1', int(c.now), '', 'carrier'))
  redis.call('HSET', opted_out, c.who.number_hash, c.who.mask)
  append_audit(c.audit, c.who, audit_event('optout.added', n,
    cjson.encode({messaging_profile_id = profile, source = 'carrier'})))
end
