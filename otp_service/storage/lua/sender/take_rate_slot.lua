#!lua
-- include: _slots.lua
-- Take the next slot in a sender's rate. Slots are evenly spaced.
--
-- KEYS sender_rate!
-- ARGV messages_per_s patience_ms
-- Reply milliseconds to wait before sending; negative: that many to wait, which is more than `patience_ms`, and no slot
--       is taken
-- Holds two messages of a sender are at least one interval apart, over all workers; a clock that is set back stops no
--       sender.
local now = micros()
local at = reserved_until(sender_rate_key, now)
local wait_ms = math.ceil((at - now) / 1000)
if wait_ms > tonumber(patience_ms) then return -wait_ms end
reserve_until(sender_rate_key, at + 1000000 / messages_per_s, now, 1000)
return wait_ms
