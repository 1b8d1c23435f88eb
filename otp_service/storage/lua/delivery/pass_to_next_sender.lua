#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- include: delivery/_result.lua
-- The sender is held: the next one has it if one of the `better` senders ('a,b') is left on its route.
--
-- KEYS record! outbox! audit! timers! optouts number
-- ARGV token number_hash ordinal senders group entry code title better
-- Reply 'failed_over' · 'late': a delivery report was faster, or the verification is gone · 'stays': none of the better
--       senders is left, or it may have been sent; nothing changed and the entry is not settled
-- Holds the next sender is claimed once.
local function is_a_better_one_left()
  for _, name in string.gmatch(failover_route(c, ordinal) or '', NextSender.EACH) do
    if string.find(',' .. better .. ',', ',' .. name .. ',', 1, true) then return true end
  end
  return false
end
if not is_late() and (may_be_sent(tries, unsent_tries) or not is_a_better_one_left()) then return 'stays' end
settle_entry()
if is_late() then return 'late' end
return fail('failed', code, title, 'sender')
