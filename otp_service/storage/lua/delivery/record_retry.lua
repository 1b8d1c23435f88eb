#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- Surely nothing was sent: the same request again after a wait. `keep_reason` '1': a reason that was recorded before
-- says more than this one.
--
-- KEYS record! outbox! audit! timers! optouts number
-- ARGV token number_hash ordinal senders group entry wait_ms reason keep_reason
-- Reply 'waiting' · 'late': a delivery report was faster, or the verification is gone
-- Holds an unsent try is counted once for each outbox entry, so that neither a repeat of this call nor a second worker
--       calls another's try unsent.
local is_first = settle_entry()
if is_late() then return 'late' end
redis.call(keep_reason == '1' and 'HSETNX' or 'HSET', record_key, ordinal .. Delivery.WAIT_REASON, reason)
redis.call('HSET', record_key, ordinal .. Delivery.UPDATED, int(now))
if is_first then
  record_wait(reason, wait_ms, true)
  redis.call('HINCRBY', record_key, ordinal .. Delivery.UNSENT_TRIES, 1)
  redis.call('HDEL', record_key, ordinal .. Delivery.CALL)
end
schedule_retry(wait_ms)
expect_failover_in_time()
return 'waiting'
