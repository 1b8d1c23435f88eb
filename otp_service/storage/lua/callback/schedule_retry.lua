#!lua
-- include: _common.lua
-- include: callback/_queue.lua
-- include: callback/_attempt.lua
-- An attempt to send a callback failed: the next one comes after a wait. The app gets nothing for `pause_ms`.
--
-- KEYS callbacks_due! callbacks! callbacks_dead! callbacks_in_flight! callbacks_pause!
-- ARGV id attempt wait_ms pause_ms reason most_dead dead_kept_ms
-- Reply 1, or 0 if the callback was claimed again after this attempt, or waits no more
-- Holds a worker that was overtaken changes nothing.
if not record_failed_attempt() then return 0 end
redis.call('ZADD', callbacks_due_key, int(clock() + wait_ms), id)
prolong()
return 1
