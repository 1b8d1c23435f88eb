#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- This worker cannot send it, another may: back into the outbox after a wait, until its code's end.
-- `may_fail_over` '1': the next sender may have it when it was not sent in time; otherwise that one could do no better.
--
-- KEYS record! outbox! audit! timers! optouts number
-- ARGV token number_hash ordinal senders group entry title may_fail_over wait_ms
-- Reply 'waiting' · 'late': a delivery report was faster, or the verification is gone
-- Holds a wait for the same reason is one event.
settle_entry()
if is_late() then return 'late' end
local is_new = redis.call('HGET', record_key, ordinal .. Delivery.WAIT_REASON) ~= title
redis.call('HSET', record_key, ordinal .. Delivery.WAIT_REASON, title)
if may_fail_over == '1' then
  redis.call('HDEL', record_key, ordinal .. Delivery.HANDED_BACK)
else
  redis.call('HSET', record_key, ordinal .. Delivery.HANDED_BACK, '1')
end
if is_new then record_wait(title, wait_ms) end
schedule_retry(wait_ms)
return 'waiting'
