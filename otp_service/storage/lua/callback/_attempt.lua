-- Shared by the scripts that record an attempt that failed, which declare the keys callbacks_due, callbacks,
-- callbacks_busy and callbacks_rest, and the arguments id, attempt, reason and rest_ms.

-- Release the callback and pause its app for `rest_ms`. Returns whether this attempt is the latest; if not, nothing
-- changes.
local function record_failed_attempt()
  if redis.call('HGET', callbacks_key, id .. QueuedCallback.ATTEMPTS) ~= attempt then return false end
  if not redis.call('ZSCORE', callbacks_due_key, id) then return false end
  redis.call('ZREM', callbacks_busy_key, id)
  redis.call('HSET', callbacks_key, id .. QueuedCallback.REASON, reason)
  if tonumber(rest_ms) > 0 then redis.call('SET', callbacks_rest_key, '1', 'PX', rest_ms) end
  return true
end
