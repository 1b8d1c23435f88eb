#!lua
-- include: _common.lua
-- Record an event that belongs to no verification, at most one of its kind in a while: callers must not fill the
-- record.
--
-- KEYS audit! throttle!
-- ARGV event_type detail throttle_ms app mask number_hash
-- Where detail: JSON · throttle_ms '0': always · app '' for none · mask and number_hash of the number it is about, or
--       ''
-- Reply 1 if it was recorded
-- Holds no state changes but the record.
if throttle_ms ~= '0' and not redis.call('SET', throttle_key, '1', 'NX', 'PX', throttle_ms) then return 0 end
append_audit(audit_key, {app = app, mask = mask, number_hash = number_hash}, audit_event(event_type, nil, detail))
return 1
