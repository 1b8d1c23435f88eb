#!lua
-- include: _common.lua
-- Claim the poll of a delivery without a report: one worker polls the carrier, and the next time is set before it
-- does. `waits` ('ms,ms') follow the polls, the last one again and again; `after_end_ms` after the code's end it is
-- polled for the last time.
--
-- KEYS timers! record!
-- ARGV delivery ordinal waits after_end_ms
-- Reply the message id to poll for, or '' if there is nothing to poll
-- Holds a crash while polling loses no later poll; after the code's end there is exactly one.
local now = clock()
local timer = TimerKind.POLL .. delivery
local due = redis.call('ZSCORE', timers_key, timer)
if not due or tonumber(due) > now then return '' end
local status, message_id, expires = unpack(redis.call('HMGET', record_key, ordinal .. Delivery.STATUS,
  ordinal .. Delivery.MESSAGE_ID, Record.EXPIRES))

local function wait_after(poll)
  local nth, wait = 0
  for ms in string.gmatch(waits, '%d+') do
    nth, wait = nth + 1, tonumber(ms)
    if nth == poll then break end
  end
  return wait
end

if status ~= 'sent' or not message_id or now >= tonumber(expires) then
  redis.call('ZREM', timers_key, timer)
else
  local at = now + wait_after(redis.call('HINCRBY', record_key, ordinal .. Delivery.POLLS, 1))
  if at >= tonumber(expires) then at = expires + after_end_ms end
  redis.call('ZADD', timers_key, int(at), timer)
end
return status == 'sent' and message_id or ''
