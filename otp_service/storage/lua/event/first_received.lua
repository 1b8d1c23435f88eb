#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- Record when an event was first received.
--
-- KEYS first_received! run
-- ARGV kept_ms
-- Reply the store's milliseconds at the first call
-- Holds a repeat gets the time of the first call. Where replicas are expected, the answer of a server that was cut off
--       from them is refused: what is read next, to act on the event, is read from a primary.
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
if redis.call('SET', first_received_key, now, 'NX', 'PX', kept_ms) then return now end
return redis.call('GET', first_received_key)
