-- Shared by the scripts that record an attempt that failed, which declare the keys callbacks_due, callbacks,
-- callbacks_in_flight and callbacks_pause, and the arguments id, attempt, reason and pause_ms.

-- Release the callback and pause its app for `pause_ms`. Returns whether this attempt is the latest; if not, nothing
-- changes.
local function record_failed_attempt()
  if redis.call('HGET', callbacks_key, id .. QueuedCallback.ATTEMPTS) ~= attempt then return false end
  if not redis.call('ZSCORE', callbacks_due_key, id) then return false end
  redis.call('ZREM', callbacks_in_flight_key, id)
  redis.call('HSET', callbacks_key, id .. QueuedCallback.REASON, reason)
  if tonumber(pause_ms) > 0 then redis.call('SET', callbacks_pause_key, '1', 'PX', pause_ms) end
  return true
end
