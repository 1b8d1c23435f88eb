#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_carrier_optout.lua
-- include: delivery/_result.lua
-- The carrier refused the request: nothing was sent. `blamed` 'sender', 'profile' or 'channel': the next sender that
-- differs in it may have it, '': none. `opted_out` '1': the person is on its block list.
--
-- KEYS record! outbox! audit! timers! optouts! number! opted_out!
-- ARGV token number_hash ordinal senders group entry code title blamed opted_out
-- Reply 'failed_over' · 'failed' · 'late': a delivery report was faster, or the verification is gone
-- Holds the next sender is claimed once, and never one of a messaging profile that the person has opted out of.
settle_entry()
if is_late() then return 'late' end
if opted_out == '1' then
  add_carrier_optout(c, opted_out_key, ordinal, profile_of(senders, sender))
  return fail('suppressed', code, title, blamed)
end
return fail('failed', code, title, blamed)
