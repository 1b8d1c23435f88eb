#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- include: delivery/_messages.lua
-- The carrier accepted the message. `held_ms`: how long it says that it will hold it ('0': not at all).
--
-- KEYS record! outbox! audit! timers! optouts number! secrets!
-- ARGV token number_hash ordinal senders group entry message_id carrier_status held_ms first_poll_ms
-- Reply 'accepted' · 'failed_over': it would be held longer than the code lives, and the next sender has it ·
--       'late': a delivery report was faster, or the verification is gone
-- Holds the delivery moves by rank; the next sender is claimed once.
settle_entry()
if not facts or not delivery_status then return 'late' end
local fields = {Record.ACCEPTED .. send, '1'}
local function add(name, value)
  fields[#fields + 1] = ordinal .. name
  fields[#fields + 1] = value
end
if not known_message then add(Delivery.MESSAGE_ID, message_id) end
if not known_carrier_status then add(Delivery.CARRIER_STATUS, carrier_status) end
remember_message(number_key, message_id, token, ordinal)
forget_body(secrets_key, ordinal)
redis.call('HDEL', record_key, ordinal .. Delivery.CALL, ordinal .. Delivery.WAIT_REASON)
if not moves_up(delivery_status, 'sent') then
  redis.call('HSET', record_key, unpack(fields))
  return 'late'
end
add(Delivery.STATUS, 'sent')
add(Delivery.UPDATED, int(now))
redis.call('ZADD', timers_key, int(now + first_poll_ms), TimerKind.POLL .. id)
local detail = {carrier_status = carrier_status}
if held_ms ~= '0' then detail.held_ms = tonumber(held_ms) end
local kept = cjson.encode(detail)
detail.message_id = message_id
append_event(audit_key, c.who, 'delivery.sent', now, ordinal, cjson.encode(detail), kept, fields, version)
-- It would come out of the carrier's queue when its code has expired.
if now + held_ms >= tonumber(expires) and fail_over(c, ordinal, 'carrier_queue') then return 'failed_over' end
return 'accepted'
