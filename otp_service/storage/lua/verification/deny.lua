#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: _ending.lua
-- End a verification because the person answered its message with "that wasn't me".
--
-- KEYS record! secrets! audit! run webhooks!
-- ARGV token number_hash apps senders before_ms webhook sealed_webhook
-- Where apps: that use this keyword, 'a,b' · senders: that the reply can have been written to, 'x,y' ·
--       before_ms: the message must have been sent before this moment · webhook: the commitment to the webhook that
--       says so, or '' · sealed_webhook: its bytes
-- Reply 'denied' · 'no': ended before, of another app, or none of its messages can have reached the person by then
-- Holds a reply counts only for a code that one of these senders may have sent before it was written.
local function among(list, name)
  return string.find(',' .. list .. ',', ',' .. name .. ',', 1, true) ~= nil
end
local facts, status, expires, sending, version, born = unpack(redis.call('HMGET', record_key, Record.FACTS,
  Record.STATUS, Record.EXPIRES, Record.SENDING, Record.VERSION, Record.RUN))
local who = subject_of(record_key, token, number_hash, facts)
local now = clock()
if status ~= 'pending' or has_expired(now, expires, created_at(facts), born) or not among(apps, who.app) then return 'no' end
local answered
for n = 1, deliveries_of(sending) do
  local its_facts, first_try, message_id, tries, unsent_tries, delivery_status = unpack(redis.call('HMGET', record_key,
    n .. Delivery.FACTS, n .. Delivery.FIRST_TRY, n .. Delivery.MESSAGE_ID, n .. Delivery.TRIES,
    n .. Delivery.UNSENT_TRIES, n .. Delivery.STATUS))
  local sender = string.match(its_facts, DeliveryFacts.PARSE)
  -- The carrier has it, or may have it: a try whose response is lost, or in flight.
  local unanswered = delivery_status == 'unknown' or delivery_status == 'sending'
  local sent = message_id or (unanswered and tonumber(tries or 0) > tonumber(unsent_tries or 0))
  if sent and first_try and among(senders, sender) and tonumber(first_try) <= tonumber(before_ms) then answered = n end
end
if not answered then return 'no' end
who.webhook = {key = webhooks_key, commitment = webhook, sealed = sealed_webhook}
local c = {audit = audit_key, secrets = secrets_key, now = now, who = who}
end_verification(c, 'verification.denied', version, answered)
return 'denied'
