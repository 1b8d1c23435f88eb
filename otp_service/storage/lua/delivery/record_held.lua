#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- Nothing may be sent by this sender now: the next sender has it, or it waits where there is none or it may have been
-- sent. Nothing was tried.
--
-- KEYS record! outbox! audit! timers! optouts number
-- ARGV token number_hash ordinal senders group entry code title may_fail_over wait_ms
-- Reply 'failed_over' · 'waiting' · 'late': a delivery report was faster, or the verification is gone
-- Holds the next sender is claimed once; a wait for the same reason is one event.
settle_entry()
if is_late() then return 'late' end
redis.call('HDEL', record_key, ordinal .. Delivery.HANDED_BACK)
local is_new = redis.call('HGET', record_key, ordinal .. Delivery.WAIT_REASON) ~= title
redis.call('HSET', record_key, ordinal .. Delivery.WAIT_REASON, title)
if may_fail_over == '1' and not may_be_sent(tries, unsent_tries) and failover_route(c, ordinal) then
  return fail('failed', code, title, 'sender')
end
if is_new then record_wait(title, wait_ms) end
schedule_retry(wait_ms)
return 'waiting'
