#!lua
-- include: _common.lua
-- include: guard/_counters.lua
-- include: guard/_places.lua
-- Judge a start of an unknown number by the budgets of the app, and fill those that it takes from.
--
-- KEYS total! country! blocks! addresses!
-- ARGV policy region mode block_10k block_1k address cost look quiet
-- Where policy: `GuardNumbers` · region: ISO 3166 · mode: 'monitor' or 'enforce' · block_10k, block_1k and address: keyed
--       hashes, address '' if it is not known · look '1': judge alone · quiet '1': a refusal
--       changes nothing, because this number was refused a moment ago
-- Reply {'1' if it is refused, the flags of `GuardTaken`, budgets without room with commas, `GuardReport` with commas,
--       `GuardTurn` where it is counted, else ''}
-- Holds judging and filling are one step, so that however many ask at once no budget is exceeded by one. A call that is
--       made twice fills twice: its budgets are then tighter than they need be, until they drain.
local now = clock()
local function is_quiet() return quiet == '1' end
-- include: guard/_judging.lua
