#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- We cannot make this request at all: its seal is broken, or its sender is no longer configured.
--
-- KEYS record! outbox! audit! timers! optouts number!
-- ARGV token number_hash ordinal senders group entry code title
-- Reply 'failed_over' · 'failed' · 'expired': its code expired while it waited · 'unknown': an earlier try may have
--       been sent · 'late': a delivery report was faster, or the verification is gone
-- Holds a delivery that may have been sent is never called unsent; the next sender is claimed once.
settle_entry()
if is_late() then return 'late' end
if may_be_sent(tries, unsent_tries) then
  become_unknown(code)
  return 'unknown'
end
-- An expired code is the reason, whatever stands in the way now.
if now >= tonumber(expires) then
  redis.call('HSETNX', record_key, ordinal .. Delivery.WAIT_REASON, title)
  end_delivery(c, ordinal, 'expired', {reason = 'code_expired', title = expired_title(c, ordinal)})
  uncount_send(c, ordinal)
  return 'expired'
end
return fail('failed', code, title, 'sender')
