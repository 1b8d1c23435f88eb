#!lua
-- Take the next alert that is due; it comes again unless it is reported as done.
--
-- KEYS  1 alarms
-- ARGV  ms until it comes again · ms after which an alert is too old to be sent
-- Reply the alert, `id US text`, or ''
-- Holds one worker at a time sends an alert; a crash while sending loses none.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for _, alarm in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))) do
  if tonumber(string.match(alarm, '^%d+')) + ARGV[2] < now then
    redis.call('ZREM', KEYS[1], alarm)
  else
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[1]), alarm)
    return alarm
  end
end
return ''
