#!lua
-- Make a dead letter of a timer that nobody can read, for a person to look at.
--
-- KEYS timers! dead!
-- ARGV timer most_kept
-- Reply 1 if it was moved now, 0 if another worker was faster
-- Holds what is moved is kept once; nothing is removed without being kept.
local due = redis.call('ZSCORE', timers_key, timer)
if not due then return 0 end
redis.call('XADD', dead_key, 'MAXLEN', '~', most_kept, '*', DeadLetter.TIMER, timer, DeadLetter.DUE, due)
redis.call('ZREM', timers_key, timer)
return 1
