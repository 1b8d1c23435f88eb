-- Shared by the scripts that queue deliveries or change their status. `c` is the context: the keys outbox, audit,
-- timers, optouts and, where a send can be uncounted, number; `who` as `append_event` takes it; now.

-- A delivery moves to a higher rank only (domain/delivery.py has the same table).
local RANK = {queued = 0, sending = 1, unknown = 1, sent = 2, suppressed = 3, expired = 3,
  unconfirmed = 4, failed = 5, delivered = 6}

-- How long after the code's end a delivery stays open for a late report, in milliseconds.
local CLOSE_MS = 30000

local function delivery_id(c, n)
  return PublicId.DELIVERY .. c.who.token .. PublicId.ORDINAL .. n
end

-- The facts of a delivery: sender, kind, send, channel, locale, queued, within, next senders. `text`: its
-- field, false or nil if there is no such delivery.
local function delivery_facts(text)
  return string.match(text or '', DeliveryFacts.PARSE)
end

-- Forget what was to be done about a delivery later.
local function clear_timers(c, n)
  local id = delivery_id(c, n)
  redis.call('ZREM', c.timers, TimerKind.RETRY .. id, TimerKind.POLL .. id, TimerKind.FAILOVER .. id,
    TimerKind.CLOSING .. id)
end

-- Which of these messaging profiles the person has opted out of.
local function blocked_profiles(optouts, profiles)
  local blocked = {}
  if #profiles == 0 then return blocked end
  for i, entry in ipairs(redis.call('HMGET', optouts, unpack(profiles))) do
    -- The first letter alone decides: a damaged entry still counts as opted out.
    if entry and string.sub(entry, 1, 1) == '1' then blocked[profiles[i]] = true end
  end
  return blocked
end

-- Which messaging profiles of a route the person has opted out of.
local function blocked_on_route(optouts, route)
  local profiles = {}
  for _, _, _, profile in string.gmatch(route, RouteSender.EACH) do profiles[#profiles + 1] = profile end
  return blocked_profiles(optouts, profiles)
end

-- The route without the senders of blocked profiles.
local function open_route(blocked, route)
  local open = {}
  for sender, _, _, profile in string.gmatch(route, RouteSender.EACH) do
    if not blocked[profile] then open[#open + 1] = sender end
  end
  return table.concat(open, ',')
end

-- The route as records have it: `NextSender` with commas.
local function without_profiles(route)
  local kept = {}
  for _, name, kind in string.gmatch(route, RouteSender.EACH) do
    kept[#kept + 1] = string.format(NextSender.PACK, name, kind)
  end
  return table.concat(kept, ',')
end

-- The messaging profile of a sender of this name. `senders`: those that this process knows, as a route; nil for others.
local function profile_of(senders, wanted)
  for _, name, _, profile in string.gmatch(senders, RouteSender.EACH) do
    if name == wanted then return profile end
  end
end

-- Queue the verification's n-th delivery with the route's first sender. The rest waits for a failover, which comes at
-- the latest when the message has not been sent within `within` ms; until the code's end, when what is open gets a timer
-- for its closing (verification/expire). `fields` and `version`: what else is written to the record, and its version then. `timers`: what else is due, time, timer, time,
-- timer ...; `events`: what else happened, for the audit record. Where `c.test` it ends at once, and nothing is sent.
local TEST_REASON, TEST_TITLE = 'test_number', 'A test number: nothing is sent.'
local function queue_delivery(c, n, route, send, channel, locale, autofill, within, fields, version, timers, events)
  local head, next_senders = string.match(route, '^([^,]+),?(.*)$')
  local sender, kind = string.match(head, NextSender.PARSE)
  local id = delivery_id(c, n)
  -- The first one stands in no timeline: see `Record.TIMELINE`.
  if n ~= '1' then add_to_timeline(fields, version, 'delivery.queued', c.now, n) end
  if autofill and autofill ~= '' then
    fields[#fields + 1] = n .. Delivery.AUTOFILL
    fields[#fields + 1] = autofill
  end
  -- What is written first is found first: the fields that a check reads come before those of deliveries.
  local queued = n == '1' and '' or int(c.now)
  for _, part in ipairs({n .. Delivery.STATUS, c.test and 'suppressed' or 'queued', n .. Delivery.FACTS,
    string.format(DeliveryFacts.PACK, sender, kind, send, channel, locale, queued, within, next_senders)}) do
    fields[#fields + 1] = part
  end
  events = events .. AuditEvents.SEPARATOR .. audit_event(ShortType.QUEUED, n,
    string.format(QueuedDetail.PACK, sender, kind))
  if c.test then
    local detail = cjson.encode({reason = TEST_REASON, title = TEST_TITLE})
    for _, part in ipairs({n .. Delivery.ERROR_CODE, TEST_REASON, n .. Delivery.ERROR_TITLE, TEST_TITLE}) do
      fields[#fields + 1] = part
    end
    add_to_timeline(fields, int(version + 1), 'delivery.suppressed', c.now, n, detail)
    events = events .. AuditEvents.SEPARATOR .. audit_event('delivery.suppressed', n, detail)
  end
  redis.call('HSET', c.who.record, unpack(fields))
  if next_senders ~= '' and not c.test then
    timers[#timers + 1] = int(c.now + within)
    timers[#timers + 1] = TimerKind.FAILOVER .. id
  end
  if #timers > 0 then redis.call('ZADD', c.timers, unpack(timers)) end
  if not c.test then redis.call('XADD', c.outbox, '*', Outbox.DELIVERY, id, Outbox.SENDER, sender) end
  append_audit(c.audit, c.who, events, version - 1)
  return sender, kind
end

-- Whether a delivery of this status (false if there is none) moves up to another.
local function moves_up(from, to)
  if not from or from == to or RANK[to] < RANK[from] then return false end
  -- `sending` and `unknown` are the only ones of one rank that follow each other.
  return RANK[to] ~= RANK[from] or RANK[to] == 1
end

-- Move a delivery up. Returns whether it moved.
local function advance_status(c, n, to)
  if not moves_up(redis.call('HGET', c.who.record, n .. Delivery.STATUS), to) then return false end
  redis.call('HSET', c.who.record, n .. Delivery.STATUS, to, n .. Delivery.UPDATED, int(c.now))
  return true
end
