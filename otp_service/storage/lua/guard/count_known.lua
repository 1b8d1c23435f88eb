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
local level = level_now(total.known, p.outage_known, KNOWN_MS, now)
-- Bounded, so that it ends soon after the first approvals come back.
set_level(total.known, math.min(level + starts, p.outage_known + 1), now)
if total.started == 0 then total.started = now end
if not before and is_outage(now) then report('outage', 'outage', '') end
write_total()
return table.concat(reports, ',')
