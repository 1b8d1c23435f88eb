-- Shared by the scripts of an app's queue of callbacks. `c` is the context: keys due, all, dead; now; most, the dead
-- letters that are kept, and kept, for how many ms.

local FIELDS = {'body', 'type', 'vid', 'at', 'try', 'why'}

-- Drop everything that is known of a callback.
local function forget(c, id)
  for _, field in ipairs(FIELDS) do redis.call('HDEL', c.all, id .. ':' .. field) end
end

-- Make a callback a dead letter. The oldest ones make room, and none stays longer than `kept`.
local function bury(c, id)
  redis.call('ZREM', c.due, id)
  redis.call('ZADD', c.dead, int(c.now), id)
  local old = redis.call('ZRANGEBYSCORE', c.dead, '-inf', '(' .. int(c.now - c.kept))
  local over = redis.call('ZCARD', c.dead) - #old - c.most
  if over > 0 then old = redis.call('ZRANGE', c.dead, 0, #old + over - 1) end
  for _, name in ipairs(old) do
    redis.call('ZREM', c.dead, name)
    forget(c, name)
  end
end

-- An app that is configured no more leaves nothing behind for ever.
local function keep(c)
  local ttl = int(c.kept + 86400000)
  redis.call('PEXPIRE', c.all, ttl)
  redis.call('PEXPIRE', c.due, ttl)
  redis.call('PEXPIRE', c.dead, ttl)
end
