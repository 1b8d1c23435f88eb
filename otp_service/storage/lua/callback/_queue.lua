-- Shared by the scripts of an app's queue of callbacks. They declare the keys callbacks_due, callbacks and
-- callbacks_dead; those that make dead letters also the arguments most_dead and dead_kept_ms.

-- Drop everything that is known of a callback.
local function forget(id)
  redis.call('HDEL', callbacks_key, id .. QueuedCallback.BODY, id .. QueuedCallback.TYPE,
    id .. QueuedCallback.VERIFICATION, id .. QueuedCallback.QUEUED, id .. QueuedCallback.ATTEMPTS,
    id .. QueuedCallback.REASON)
end

-- The dead letters that are too old, or too many: the oldest.
local function surplus_dead_letters(now)
  local old = redis.call('ZRANGEBYSCORE', callbacks_dead_key, '-inf', '(' .. int(now - dead_kept_ms))
  local over = redis.call('ZCARD', callbacks_dead_key) - #old - most_dead
  if over <= 0 then return old end
  return redis.call('ZRANGE', callbacks_dead_key, 0, #old + over - 1)
end

-- Make a callback a dead letter. The oldest ones make room, and none stays longer than `dead_kept_ms`.
local function make_dead_letter(id, now)
  redis.call('ZREM', callbacks_due_key, id)
  redis.call('ZADD', callbacks_dead_key, int(now), id)
  for _, name in ipairs(surplus_dead_letters(now)) do
    redis.call('ZREM', callbacks_dead_key, name)
    forget(name)
  end
end

-- An app that is configured no more leaves nothing behind for ever.
local function prolong()
  local ttl = int(dead_kept_ms + 86400000)
  redis.call('PEXPIRE', callbacks_key, ttl)
  redis.call('PEXPIRE', callbacks_due_key, ttl)
  redis.call('PEXPIRE', callbacks_dead_key, ttl)
end
