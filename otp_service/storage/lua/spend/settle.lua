#!lua
-- include: _common.lua
-- include: spend/_days.lua
-- Count what the carrier says that a message cost, and correct what was expected of it.
--
-- KEYS spend!
-- ARGV region day expected before amount currency own_currency
-- Where day: of which the expected price was taken, '' if none was · expected, before, amount: in millionths: the price
--       that was taken, the cost that was counted before ('' for none), the cost · own_currency: that of the prices
-- Reply the day
-- Holds a cost in another currency than that of the prices changes no sum that a limit is compared with.
local today = day_of(clock())
if day == '' then day = today end
begin_change(today)
local change = amount - (tonumber(before) or 0)
redis.call('HINCRBY', spend_key, Spend.SETTLED .. string.format(SettledPlace.PACK, day, region, currency), int(change))
if before == '' then
  redis.call('HINCRBY', spend_key, Spend.MESSAGES .. string.format(SpendPlace.PACK, day, region), 1)
  change = change - tonumber(expected)
end
if currency == own_currency then redis.call('HINCRBY', spend_key, Spend.SUM .. day, int(change)) end
return day
