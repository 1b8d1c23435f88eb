#!lua
-- include: _common.lua
-- include: spend/_days.lua
-- Take the expected price of a message of what an app may spend today, look whether that has room, or give it back.
--
-- KEYS spend!
-- ARGV action region amount most day
-- Where action: 'take', 'look' or 'give_back' · amount, most: millionths of the currency; most: for the whole day · day: of
--       which what is given back was taken, else ''
-- Reply {milliseconds until the next day, the day}: {0, day} if it was taken (has room, was given back)
-- Holds what is counted of a day never goes above `most` by a message that is taken, however many ask at once.
local now = clock()
local today = day_of(now)
amount = tonumber(amount)

local function count(amount_of, of_day)
  redis.call('HINCRBY', spend_key, Spend.SUM .. of_day, int(amount_of))
  redis.call('HINCRBY', spend_key, Spend.EXPECTED .. string.format(SpendPlace.PACK, of_day, region), int(amount_of))
end

if action == 'give_back' then
  -- Of a day that is no longer kept nothing is left to correct.
  if redis.call('HEXISTS', spend_key, Spend.SUM .. day) == 1 then count(-amount, day) end
  return {0, day}
end
local counted = tonumber(redis.call('HGET', spend_key, Spend.SUM .. today) or 0)
local has_room = counted + amount <= tonumber(most)
if action == 'take' then
  begin_change(today)
  if has_room then count(amount, today) else redis.call('HINCRBY', spend_key, Spend.REFUSED .. today, 1) end
end
return {has_room and 0 or (today + 1) * DAY - now, today}
