#!lua
-- include: _common.lua
-- The link of a message was followed: an event of the timeline.
--
-- KEYS record! audit! event! webhooks!
-- ARGV token number_hash ordinal event_ttl_ms webhook sealed_webhook
-- Where webhook: the commitment to the webhook that says so, or '' · sealed_webhook: its bytes
-- Reply 'recorded' · 'duplicate' · 'unknown'
-- Holds a click is recorded once and changes nothing else.
local facts = redis.call('HGET', record_key, Record.FACTS)
if not facts then return 'unknown' end
if not redis.call('SET', event_key, '1', 'NX', 'PX', event_ttl_ms) then return 'duplicate' end
local who = subject_of(record_key, token, number_hash, facts)
who.webhook = {key = webhooks_key, commitment = webhook, sealed = sealed_webhook}
append_event(audit_key, who, 'delivery.link_clicked', clock(), ordinal)
return 'recorded'
