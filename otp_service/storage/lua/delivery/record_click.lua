#!lua
-- include: _common.lua
-- The link of a message was followed: an event of the timeline.
--
-- KEYS record! audit! event!
-- ARGV token ordinal event_ttl_ms
-- Reply 'recorded' · 'duplicate' · 'unknown'
-- Holds a click is recorded once and changes nothing else.
local app, mask, number_hash = unpack(redis.call('HMGET', record_key, Record.APP, Record.MASK, Record.NUMBER_HASH))
if not app then return 'unknown' end
if not redis.call('SET', event_key, '1', 'NX', 'PX', event_ttl_ms) then return 'duplicate' end
append_event(audit_key, {record = record_key, token = token, app = app, mask = mask, number_hash = number_hash},
  'delivery.link_clicked', clock(), ordinal)
return 'recorded'
