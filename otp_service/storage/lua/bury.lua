#!lua
-- Move what nobody can read out of the way, and keep it for a person to look at.
--
-- KEYS  1 outbox  2 timers  3 dead entries
-- ARGV  group · 'entry' or 'timer' · the entry's id or the timer's member · how many are kept at least
-- Reply 1 if it was moved now, 0 if another worker was faster
-- Holds what is moved is kept once, with all that stood in it; nothing is removed without being kept.
local group, kind, name, keep = unpack(ARGV)
local MOST = 1000 -- more than Lua's stack holds cannot be handed on one by one
if kind == 'entry' then
  local found = redis.call('XRANGE', KEYS[1], name, name)[1]
  redis.call('XACK', KEYS[1], group, name)
  if not found then return 0 end
  local fields = found[2]
  if #fields > MOST then fields = {'packed', cmsgpack.pack(fields)} end
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', keep, '*', 'entry', name, unpack(fields))
  redis.call('XDEL', KEYS[1], name)
  return 1
end
local due = redis.call('ZSCORE', KEYS[2], name)
if not due then return 0 end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', keep, '*', 'timer', name, 'due', due)
redis.call('ZREM', KEYS[2], name)
return 1
