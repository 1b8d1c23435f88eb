#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- The carrier's answer is lost, and the message may have been sent: the same request again after a wait, unless a
-- delivery report comes first.
--
-- KEYS record! outbox! audit! timers! optouts number
-- ARGV token number_hash ordinal senders group entry wait_ms reason
-- Reply 'waiting' · 'late': a delivery report was faster, or the verification is gone
-- Holds a lost answer is never taken for a refusal, nor forgotten because a later try was not sent.
local is_first = settle_entry()
if is_late() then return 'late' end
become_unknown(reason)
redis.call('HSET', record_key, ordinal .. Delivery.WAIT_REASON, reason)
if is_first then redis.call('HDEL', record_key, ordinal .. Delivery.CALL) end
schedule_retry(wait_ms)
expect_failover_in_time()
return 'waiting'
