#!lua
-- include: _common.lua
-- Count how a sender's delivery ended, in a window of `periods` times `period_ms`. `result` is the field's beginning.
--
-- KEYS tally!
-- ARGV result period_ms periods
-- Reply 1
-- Holds counts older than the window are gone.
local period = math.floor(clock() / period_ms)
redis.call('HINCRBY', tally_key, result .. int(period), 1)
for _, field in ipairs(redis.call('HKEYS', tally_key)) do
  local its_period = string.match(field, ':(%d+)$')
  if its_period and tonumber(its_period) <= period - periods then redis.call('HDEL', tally_key, field) end
end
redis.call('PEXPIRE', tally_key, period_ms * periods)
return 1
