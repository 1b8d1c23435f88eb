#!lua
-- include: _common.lua
-- Drop the audit events that have been kept long enough and are in the ledger.
--
-- KEYS audit!
-- ARGV kept_ms exported
-- Where exported: the id of the last entry that is in the ledger
-- Reply how many were dropped; some older ones may stay, since the store drops whole blocks
-- Holds the store's clock alone, which also dated the events, judges their age. The last entry that is in the ledger
--       stays: by it the ledger knows that the stream is the one that it has read.
local oldest = int(math.max(0, clock() - kept_ms))
local ms = string.match(exported, '^%d+')
if tonumber(ms) <= tonumber(oldest) then oldest = exported end
return redis.call('XTRIM', audit_key, 'MINID', '~', oldest)
