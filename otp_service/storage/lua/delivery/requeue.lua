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
redis.call('ZREM', timers_key, timer)
local status = redis.call('HGET', record_key, ordinal .. Delivery.STATUS)
if not status or RANK[status] >= RANK['sent'] then return 0 end
redis.call('XADD', outbox_key, '*', Outbox.DELIVERY, delivery)
return 1
