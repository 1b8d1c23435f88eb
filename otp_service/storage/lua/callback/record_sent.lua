#!lua
-- include: _common.lua
-- include: callback/_queue.lua
-- A callback has arrived, whoever sent it: it is forgotten.
--
-- KEYS callbacks_due! callbacks! callbacks_dead! callbacks_in_flight!
-- ARGV id
-- Reply 1, or 0 if the callback did not wait any more
-- Holds what arrived is never sent again.
redis.call('ZREM', callbacks_in_flight_key, id)
redis.call('ZREM', callbacks_dead_key, id)
forget(id)
return redis.call('ZREM', callbacks_due_key, id)
