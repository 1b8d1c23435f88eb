#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- The slot that is reserved in the sender's rate has not come yet: back into the outbox when it has. Nothing was tried.
--
-- KEYS record! outbox! audit timers! optouts number
-- ARGV token number_hash ordinal senders group entry wait_ms
-- Reply 'waiting' · 'late': a delivery report was faster, or the verification is gone
-- Holds a delivery that waits for its rate counts as one that the sender holds up.
settle_entry()
if is_late() then return 'late' end
redis.call('HDEL', record_key, ordinal .. Delivery.HANDED_BACK)
redis.call('HSET', record_key, ordinal .. Delivery.RATE_LIMITED, '1')
redis.call('HSETNX', record_key, ordinal .. Delivery.WAIT_REASON, 'the sender had no free slot in its rate')
schedule_retry(wait_ms)
return 'waiting'
