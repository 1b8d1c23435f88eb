#!lua
-- include: _common.lua
-- include: _callback.lua
-- Write down what became of one try to send a callback.
--
-- KEYS  1 due  2 callbacks  3 dead  4 busy  5 rest mark
-- ARGV  callback id · attempt · 'sent', 'again' or 'dead' · ms until the next try · ms for which the app gets nothing ·
--       reason · most dead letters · ms a dead letter is kept
-- Reply 1, or 0 if the callback is no longer in the hands that made this try
-- Holds what arrived is never sent again; a worker that was overtaken changes nothing else.
local id, attempt, outcome, wait, rest, reason, most, kept = unpack(ARGV)
local c = {due = KEYS[1], all = KEYS[2], dead = KEYS[3], now = clock(), most = tonumber(most), kept = tonumber(kept)}
local mine = redis.call('HGET', c.all, id .. ':try') == attempt and redis.call('ZSCORE', c.due, id)
if mine then redis.call('ZREM', KEYS[4], id) end
if outcome == 'sent' then
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZREM', c.dead, id)
  forget(c, id)
  return redis.call('ZREM', c.due, id)
end
if not mine then return 0 end
redis.call('HSET', c.all, id .. ':why', reason)
if tonumber(rest) > 0 then redis.call('SET', KEYS[5], '1', 'PX', rest) end
if outcome == 'again' then
  redis.call('ZADD', c.due, int(c.now + wait), id)
else
  bury(c, id)
end
keep(c)
return 1
