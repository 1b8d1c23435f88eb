#!lua
-- include: _common.lua
-- Make callbacks due now, with no attempt counted: one by its id, or all dead letters of the app (an empty id).
--
-- KEYS callbacks_due! callbacks! callbacks_dead! callbacks_in_flight! callbacks_pause!
-- ARGV id
-- Reply how many are due now
-- Holds id and body stay what they were; one that is being sent at this moment is left alone.
local now = int(clock())
redis.call('ZREMRANGEBYSCORE', callbacks_in_flight_key, '-inf', now)

local function is_idle(name)
  return redis.call('ZSCORE', callbacks_due_key, name) and not redis.call('ZSCORE', callbacks_in_flight_key, name)
end

local replayed = 0
for _, name in ipairs(id == '' and redis.call('ZRANGE', callbacks_dead_key, 0, -1) or {id}) do
  local is_waiting = is_idle(name)
  if redis.call('ZREM', callbacks_dead_key, name) == 1 or is_waiting then
    redis.call('HSET', callbacks_key, name .. QueuedCallback.ATTEMPTS, 0)
    redis.call('ZADD', callbacks_due_key, now, name)
    replayed = replayed + 1
  end
end
if replayed > 0 then
  redis.call('DEL', callbacks_pause_key)
  redis.call('PEXPIRE', callbacks_due_key, math.max(86400000, redis.call('PTTL', callbacks_key)))
end
return replayed
