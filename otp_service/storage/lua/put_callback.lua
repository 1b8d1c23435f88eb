#!lua
-- include: _common.lua
-- include: _callback.lua
-- Queue a callback to an app, unless its event was queued before.
--
-- KEYS  1 due  2 callbacks  3 dead  4 mark of the event
-- ARGV  callback id · type · verification id · body · most that wait · most dead letters · ms a dead letter is kept ·
--       ms for which the event is remembered
-- Reply 'queued' · 'full': queued, and the one whose next try was furthest away became a dead letter · 'known'
-- Holds an event that is read again is queued once, with the bytes it had first; a receiver that is down cannot fill
--       the store.
local id, kind, vid, body, most_due, most_dead, kept, known = unpack(ARGV)
if not redis.call('SET', KEYS[4], '1', 'NX', 'PX', known) then return 'known' end
local c = {due = KEYS[1], all = KEYS[2], dead = KEYS[3], now = clock(), most = tonumber(most_dead), kept = tonumber(kept)}
local full = redis.call('ZCARD', c.due) >= tonumber(most_due)
if full then
  local last = redis.call('ZREVRANGE', c.due, 0, 0)[1]
  redis.call('HSET', c.all, last .. ':why', 'too many were waiting')
  bury(c, last)
end
redis.call('HSET', c.all, id .. ':body', body, id .. ':type', kind, id .. ':vid', vid, id .. ':at', int(c.now),
  id .. ':try', 0, id .. ':why', '')
redis.call('ZADD', c.due, int(c.now), id)
keep(c)
return full and 'full' or 'queued'
