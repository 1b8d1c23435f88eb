#!lua
-- include: _common.lua
-- Count how a sender's delivery ended, in a window of `periods` times `period_ms`. `result` is the field's beginning.
--
-- KEYS sender_stats!
-- ARGV result period_ms periods
-- Reply 1
-- Holds counts older than the window are gone.
local period = math.floor(clock() / period_ms)
redis.call('HINCRBY', sender_stats_key, result .. int(period), 1)
for _, field in ipairs(redis.call('HKEYS', sender_stats_key)) do
  local its_period = string.match(field, ':(%d+)$')
  if its_period and tonumber(its_period) <= period - periods then redis.call('HDEL', sender_stats_key, field) end
end
redis.call('PEXPIRE', sender_stats_key, period_ms * periods)
return 1
