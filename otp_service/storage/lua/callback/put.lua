#!lua
-- include: _common.lua
-- include: callback/_queue.lua
-- Queue a callback to an app, unless its event was queued before. An event is remembered for `known_ms`.
--
-- KEYS callbacks_due! callbacks! callbacks_dead! callback_event!
-- ARGV id event_type verification body most_due most_dead dead_kept_ms known_ms
-- Reply 'queued' · 'full': queued, and the one whose next attempt was furthest away became a dead letter · 'known'
-- Holds an event that is read again is queued once, with the body it had first; a receiver that is down cannot fill
--       the store.
if not redis.call('SET', callback_event_key, '1', 'NX', 'PX', known_ms) then return 'known' end
local now = clock()

local function make_room()
  local last = redis.call('ZREVRANGE', callbacks_due_key, 0, 0)[1]
  redis.call('HSET', callbacks_key, last .. QueuedCallback.REASON, 'too many were waiting')
  make_dead_letter(last, now)
end

local is_full = redis.call('ZCARD', callbacks_due_key) >= tonumber(most_due)
if is_full then make_room() end
redis.call('HSET', callbacks_key, id .. QueuedCallback.BODY, body, id .. QueuedCallback.TYPE, event_type,
  id .. QueuedCallback.VERIFICATION, verification, id .. QueuedCallback.QUEUED, int(now),
  id .. QueuedCallback.ATTEMPTS, 0, id .. QueuedCallback.REASON, '')
redis.call('ZADD', callbacks_due_key, int(now), id)
prolong()
return is_full and 'full' or 'queued'
