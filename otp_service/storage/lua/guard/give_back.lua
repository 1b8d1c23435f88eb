#!lua
-- include: _common.lua
-- include: guard/_counters.lua
-- include: guard/_places.lua
-- A number of the app was approved, or its login ended well by another way, or its sends were not needed: give back what
-- they took.
--
-- KEYS total! country! blocks! addresses!
-- ARGV policy region block_10k block_1k why known taken
-- Where why: 'approved', or 'unused' for what was not sent · known '1': the number was known before · taken: `GuardTaken`
--       with commas, what its sends took within the time of a count
-- Reply `GuardReport` with commas
-- Holds each budget is lowered by what the send took, with a credit after an approval; never below empty. It must not run
--       twice for one approval.
local now = clock()
-- include: guard/_giving_back.lua
return table.concat(reports, ',')
