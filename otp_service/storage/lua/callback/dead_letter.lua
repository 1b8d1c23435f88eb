#!lua
-- include: _common.lua
-- include: callback/_queue.lua
-- include: callback/_attempt.lua
-- The last attempt to send a callback failed: it becomes a dead letter. The app gets nothing for `pause_ms`.
--
-- KEYS callbacks_due! callbacks! callbacks_dead! callbacks_in_flight! callbacks_pause!
-- ARGV id attempt pause_ms reason most_dead dead_kept_ms
-- Reply 1, or 0 if the callback was claimed again after this attempt, or waits no more
-- Holds a worker that was overtaken changes nothing; the number and age of dead letters are bounded.
if not record_failed_attempt() then return 0 end
make_dead_letter(id, clock())
prolong()
return 1
