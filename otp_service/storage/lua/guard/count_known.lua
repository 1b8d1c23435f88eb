#!lua
-- include: _common.lua
-- include: guard/_counters.lua
-- Count starts of known numbers: they fill no budget, but if they stop being approved, nothing converts at all.
--
-- KEYS total!
-- ARGV policy region starts
-- Where region: of one of them
-- Reply `GuardReport` with commas
-- Holds nothing of it refuses a known number.
local now = clock()
local before = is_outage(now)
for _ = 1, starts do fill(total.known, known_rate(), 1, now) end
count_turn(TURN.KNOWN_START, starts)
if total.started == 0 then total.started = now end
if not before and is_outage(now) then report('outage', 'outage') end
write_total(true, now)
return table.concat(reports, ',')
