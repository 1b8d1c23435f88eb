-- Shared by the scripts that queue or move deliveries. `c` is the context: keys rec, outbox, audit, timeline, timers,
-- optouts, sends (where a send can be given back); `who` for the record; body (of the id) and now.

-- A delivery moves to a higher rank only (domain/delivery.py has the same table).
local RANK = {queued = 0, sending = 1, unknown = 1, sent = 2, suppressed = 3, expired = 3,
  unconfirmed = 4, failed = 5, delivered = 6}

-- How long after the code's end a delivery stays open for a late word from the carrier, in milliseconds.
local CLOSE_MS = 30000

local function delivery_id(c, n)
  return 'dlv_' .. c.body .. '-' .. n
end

-- Forget what was to be done about a delivery later: retry, poll, fall-over in time, closing.
local function settle_timers(c, n)
  local id = delivery_id(c, n)
  redis.call('ZREM', c.timers, 'r:' .. id, 'p:' .. id, 'f:' .. id, 'c:' .. id)
end

-- The route without the senders whose profile this person has opted out of: 'name|kind|profile,...'.
local function open_route(optouts, route)
  local open = {}
  for sender, profile in string.gmatch(route, '([^,|]+|[^,|]+|([^,|]+))') do
    local entry = redis.call('HGET', optouts, profile)
    if not entry or string.sub(entry, 1, 1) ~= '1' then
      open[#open + 1] = sender
    end
  end
  return table.concat(open, ',')
end

-- Queue the verification's n-th delivery with the route's first sender; the rest waits for a fail-over, which comes at
-- the latest when the message has not been sent within `within` ms.
local function queue(c, n, route, send, channel, locale, autofill, within)
  local head, rest = string.match(route, '^([^,]+),?(.*)$')
  local name, kind, profile = string.match(head, '^([^|]+)|([^|]+)|([^|]+)$')
  local p = n .. ':'
  redis.call('HSET', c.rec, p .. 'st', 'queued', p .. 'snd', name, p .. 'kind', kind, p .. 'prof', profile,
    p .. 'rest', rest, p .. 'send', send, p .. 'ch', channel, p .. 'loc', locale, p .. 'af', autofill,
    p .. 'q', int(c.now), p .. 'u', int(c.now), p .. 'in', within, 'dn', n)
  local id = delivery_id(c, n)
  redis.call('ZADD', c.timers, int(redis.call('HGET', c.rec, 'expires') + CLOSE_MS), 'c:' .. id)
  if rest ~= '' then redis.call('ZADD', c.timers, int(c.now + within), 'f:' .. id) end
  redis.call('XADD', c.outbox, '*', 'dlv', id)
  record(c.audit, c.timeline, c.who, 'delivery.queued', c.now, id, cjson.encode({sender = name, kind = kind}))
end

-- Move a delivery up. Returns whether it moved.
local function move(c, n, to)
  local from = redis.call('HGET', c.rec, n .. ':st')
  if not from or RANK[to] < RANK[from] or (from == to) then return false end
  if RANK[to] == RANK[from] and RANK[to] ~= 1 then return false end
  redis.call('HSET', c.rec, n .. ':st', to, n .. ':u', int(c.now))
  return true
end

-- What is left of the n-th delivery's route for a fail-over, or nil: each delivery is followed at most once, and only
-- while its code can still be used.
local function way_on(c, n)
  local p = n .. ':'
  local r = redis.call('HMGET', c.rec, 'status', 'expires', p .. 'rest', p .. 'fo', p .. 'send', 'sends')
  if r[1] ~= 'pending' or c.now >= tonumber(r[2]) or r[4] or not r[3] or r[3] == '' then return nil end
  -- A newer send of the same code is under way: the old one needs no rescue.
  if r[5] ~= r[6] then return nil end
  local route = open_route(c.optouts, r[3])
  return route ~= '' and route or nil
end

-- Hand a send whose n-th delivery came to nothing to the next open sender of its route. Returns whether it did.
local function fail_over(c, n, reason)
  local route = way_on(c, n)
  if not route then return false end
  local p = n .. ':'
  local r = redis.call('HMGET', c.rec, p .. 'send', p .. 'ch', p .. 'loc', p .. 'af', p .. 'in', 'dn')
  redis.call('HSET', c.rec, p .. 'fo', '1')
  redis.call('ZREM', c.timers, 'f:' .. delivery_id(c, n))
  local next_n = int(r[6] + 1)
  record(c.audit, c.timeline, c.who, 'delivery.fell_back', c.now, delivery_id(c, n),
    cjson.encode({to = delivery_id(c, next_n), reason = reason}))
  queue(c, next_n, route, r[1], r[2], r[3], r[4], r[5])
  return true
end

-- The reason of a code that ran out before anything was sent, with what stood in the way last.
local function too_late(c, n)
  local r = redis.call('HMGET', c.rec, n .. ':why', n .. ':try')
  local why = r[1] or (not r[2] and 'no worker took it up in time')
  if not why then return 'The code ran out before the message could be sent.' end
  return 'The code ran out before the message could be sent: ' .. string.gsub(why, '%.$', '') .. '.'
end

-- A send that ended without ever having been accepted gives back what it counted on the number's ladder and caps, also
-- when its verification has ended meanwhile. The verification's latest send gives back its cool-down and its place
-- among the sends too (bounded, so that a caller in a loop cannot grow the record for ever).
local function give_back(c, n)
  local send = redis.call('HGET', c.rec, n .. ':send')
  if not send then return end
  local r = redis.call('HMGET', c.rec, 'sends', 'dn', 'acc:' .. send, 'at:' .. send, 'app', 'purpose')
  if r[3] then return end
  -- An earlier sender's answer may be lost, and the person may have its message.
  for i = 1, tonumber(r[2]) do
    local d = redis.call('HMGET', c.rec, i .. ':send', i .. ':st', i .. ':try', i .. ':home')
    if d[1] == send and (d[2] == 'unknown' or d[2] == 'sending') and tonumber(d[3] or 0) > tonumber(d[4] or 0) then
      return
    end
  end
  if r[4] and redis.call('LREM', c.sends, 1, r[4] .. '\31' .. r[5] .. '\31' .. r[6]) == 0 then
    redis.call('LREM', c.sends, 1, r[4] .. '\31\31')
  end
  if send == r[1] then
    redis.call('HSET', c.rec, 'next_send', int(c.now))
    if tonumber(r[2]) < 20 then
      redis.call('HINCRBY', c.rec, 'sends', -1)
    end
  end
end
