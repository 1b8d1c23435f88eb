#!lua
-- include: _common.lua
-- include: _delivery.lua
-- Put a delivery whose wait is over back into the outbox.
--
-- KEYS timers! record outbox!
-- ARGV delivery ordinal
-- Reply 1 if it was put back, 0 if another worker was faster or a delivery report has settled it
-- Holds a due timer makes at most one entry.
local timer = TimerKind.RETRY .. delivery
local due = redis.call('ZSCORE', timers_key, timer)
if not due or tonumber(due) > clock() then return 0 end
local status = redis.call('HGET', record_key, ordinal .. Delivery.STATUS)
local is_open = status and RANK[status] < RANK['sent']
-- First into the outbox: where that is refused, the timer stays.
if is_open then redis.call('XADD', outbox_key, '*', Outbox.DELIVERY, delivery) end
redis.call('ZREM', timers_key, timer)
return is_open and 1 or 0
