#!lua
-- include: _common.lua
-- Put a delivery whose wait is over back into the outbox.
--
-- KEYS  1 timers  2 record  3 outbox
-- ARGV  delivery id · ordinal
-- Reply 1 if it was put back, 0 if another worker was faster or a webhook has settled it
-- Holds a due timer makes at most one entry.
local now = clock()
local due = redis.call('ZSCORE', KEYS[1], 'r:' .. ARGV[1])
if not due or tonumber(due) > now then return 0 end
redis.call('ZREM', KEYS[1], 'r:' .. ARGV[1])
local st = redis.call('HGET', KEYS[2], ARGV[2] .. ':st')
if st ~= 'queued' and st ~= 'sending' and st ~= 'unknown' then return 0 end
redis.call('XADD', KEYS[3], '*', 'dlv', ARGV[1])
return 1
