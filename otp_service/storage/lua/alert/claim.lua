#!lua
-- include: _common.lua
-- Claim the next alert that is due; it comes again after `retry_ms` unless it is acknowledged.
--
-- KEYS alerts!
-- ARGV retry_ms too_old_ms
-- Reply the alert, `id US text`, or ''
-- Holds one worker at a time sends an alert; a crash while sending loses none; one that is too old is dropped.
local now = clock()
for _, alert in ipairs(redis.call('ZRANGEBYSCORE', alerts_key, '-inf', int(now))) do
  if string.match(alert, '^%d+') + too_old_ms >= now then
    redis.call('ZADD', alerts_key, int(now + retry_ms), alert)
    return alert
  end
  redis.call('ZREM', alerts_key, alert)
end
return ''
