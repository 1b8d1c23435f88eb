#!lua
-- include: _common.lua
-- Claim the app's callback that has been due longest; it comes again after the lease unless its result is recorded.
--
-- KEYS callbacks_due! callbacks! callbacks_in_flight! callbacks_pause
-- ARGV lease_ms most_at_once
-- Reply {id, type, verification, body, attempt} · {} if there is nothing to do now
-- Holds one worker at a time sends a callback, over all workers not more than `most_at_once` go to one app, and a
--       crash while sending loses none.
local now = clock()
if redis.call('EXISTS', callbacks_pause_key) == 1 then return {} end
redis.call('ZREMRANGEBYSCORE', callbacks_in_flight_key, '-inf', int(now))
if redis.call('ZCARD', callbacks_in_flight_key) >= tonumber(most_at_once) then return {} end
local id = redis.call('ZRANGEBYSCORE', callbacks_due_key, '-inf', int(now), 'LIMIT', 0, 1)[1]
if not id then return {} end
local event_type, verification, body = unpack(redis.call('HMGET', callbacks_key, id .. QueuedCallback.TYPE,
  id .. QueuedCallback.VERIFICATION, id .. QueuedCallback.BODY))
if not body then
  redis.call('ZREM', callbacks_due_key, id)
  return {}
end
redis.call('ZADD', callbacks_due_key, int(now + lease_ms), id)
redis.call('ZADD', callbacks_in_flight_key, int(now + lease_ms), id)
redis.call('PEXPIRE', callbacks_in_flight_key, lease_ms)
local attempt = redis.call('HINCRBY', callbacks_key, id .. QueuedCallback.ATTEMPTS, 1)
return {id, event_type, verification, body, int(attempt)}
