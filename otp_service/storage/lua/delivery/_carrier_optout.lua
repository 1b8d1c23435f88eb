-- Shared by the scripts that learn from the carrier that a person is on its block list. Needs _delivery.lua.
local function add_carrier_optout(c, opted_out, n, profile)
  redis.call('HSET', c.optouts, profile, string.format(OptoutEntry.PACK, '1', int(c.now), '', 'carrier'))
  redis.call('HSET', opted_out, c.who.number_hash, c.who.mask)
  append_audit(c.audit, c.who, audit_event('optout.added', n,
    cjson.encode({messaging_profile_id = profile, source = 'carrier'})))
end
