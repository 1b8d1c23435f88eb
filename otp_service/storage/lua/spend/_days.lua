-- Shared by the scripts of what an app spends. Needs _common.lua. They declare the key spend.

local DAY, KEPT_DAYS, SPEND_KEPT_MS = 86400000, 14, 1382400000

-- The UTC day (days since 1970) that it is now, as text.
local function day_of(now)
  return int(math.floor(now / DAY))
end

-- Before the first change of a day the days are dropped that are no longer shown. The key has its time to live from its
-- first field on: Redis gives none to a key that is not there yet.
local function begin_change(today)
  if redis.call('HGET', spend_key, Spend.TODAY) ~= today then
    for _, name in ipairs(redis.call('HKEYS', spend_key)) do
      local day = tonumber(string.match(name, ':(%d+)'))
      if day and day <= today - KEPT_DAYS then redis.call('HDEL', spend_key, name) end
    end
    redis.call('HSET', spend_key, Spend.TODAY, today)
  end
  redis.call('PEXPIRE', spend_key, SPEND_KEPT_MS)
end
