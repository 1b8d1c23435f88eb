-- Shared by the scripts that may end a delivery before it was ever sent. Needs _delivery.lua and _sends.lua.

-- Of its `tries` the `unsent_tries` are known never to have reached the carrier. Any other may have reached the person.
local function may_be_sent(tries, unsent_tries)
  return tonumber(tries or 0) > tonumber(unsent_tries or 0)
end

-- The reason of a code that expired before anything was sent, with what stood in the way last.
local function expired_title(c, n)
  local reason, tries = unpack(redis.call('HMGET', c.who.record, n .. Delivery.WAIT_REASON, n .. Delivery.TRIES))
  reason = reason or (not tries and 'no worker took it up in time')
  if not reason then return 'The code ran out before the message could be sent.' end
  return 'The code ran out before the message could be sent: ' .. string.gsub(reason, '%.$', '') .. '.'
end

-- Whether an earlier sender's answer to this send is lost: the person may have its message.
local function has_lost_answer(c, send, deliveries)
  for i = 1, tonumber(deliveries) do
    local facts, status, tries, unsent_tries = unpack(redis.call('HMGET', c.who.record, i .. Delivery.FACTS,
      i .. Delivery.STATUS, i .. Delivery.TRIES, i .. Delivery.UNSENT_TRIES))
    local _, _, its_send = delivery_facts(facts)
    if its_send == send and (status == 'unknown' or status == 'sending') and may_be_sent(tries, unsent_tries) then
      return true
    end
  end
  return false
end

-- The limits that the send took a slot of lie on other shards: a worker gives them back.
local function return_slots(c, n, send, slots)
  redis.call('HSET', c.who.record, Record.RETURNED .. n, slots)
  redis.call('HDEL', c.who.record, Record.SLOTS .. send)
  redis.call('ZADD', c.timers, int(c.now), TimerKind.RETURN .. delivery_id(c, n))
end

-- What the pumping guard took for the number, too. A count pays for several sends: it is given back with the last of
-- them. `times`: `GuardTimes`; without them the guard did not count the send. It is on record for `guard replay`,
-- and so is the moment at which the budgets get it back (`claim_guarded`).
local function return_guarded(c, n, send, app, times, sent_at)
  if not times then return end
  redis.call('HDEL', c.who.record, Record.GUARDED .. send)
  local _, counted_ms, per_count = string.match(times, GuardTimes.PARSE)
  local text, takes = unpack(redis.call('HMGET', c.number, Number.GUARDED .. app, Number.GUARD_TAKEN .. app))
  local approved, counted, sends, started, region, block = string.match(text or '', GuardedNumber.PARSE)
  local block_1k, taken = string.match(takes or '', GuardTakes.PARSE)
  -- Approved meanwhile, or of a count that is over.
  if not taken or sends == '0' or tonumber(sent_at) < tonumber(counted) or c.now >= counted + counted_ms then return end
  sends = sends - 1
  append_audit(c.audit, c.who, audit_event('guard.returned', n))
  if sends == 0 then
    local before, last = string.match(taken, '^(.*),([^,]*)$')
    redis.call('HSET', c.who.record, Record.GUARD_RETURNED .. n,
      string.format(GuardedApproval.PACK, region, block, block_1k, '0', last or taken))
    redis.call('ZADD', c.timers, int(c.now), TimerKind.RETURN .. delivery_id(c, n))
    takes = before and string.format(GuardTakes.PACK, block_1k, before) or ''
    counted, sends = before and counted or '0', before and per_count or 0
  end
  redis.call('HSET', c.number, Number.GUARD_TAKEN .. app, takes, Number.GUARDED .. app,
    string.format(GuardedNumber.PACK, approved, counted, int(sends), started, region, block))
end

-- A send that ended without ever having been accepted does not count on the number's ladder and caps, also when its
-- verification has ended meanwhile. The verification's latest send does not count for its cool-down and its number of
-- sends either (bounded, so that a caller in a loop cannot grow the record for ever).
local GREATEST_UNCOUNTED = 20
local function uncount_send(c, n)
  local _, _, send = delivery_facts(redis.call('HGET', c.who.record, n .. Delivery.FACTS))
  if not send then return end
  local sending, accepted, sent_at, facts, slots, times = unpack(redis.call('HMGET', c.who.record, Record.SENDING,
    Record.ACCEPTED .. send, Record.SENT_AT .. send, Record.FACTS, Record.SLOTS .. send, Record.GUARDED .. send))
  local sends, deliveries, channel = string.match(sending, Sending.PARSE)
  if accepted or has_lost_answer(c, send, deliveries) then return end
  if slots then return_slots(c, n, send, slots) end
  local app, purpose = string.match(facts, RecordFacts.PARSE)
  if send == '1' then sent_at = sent_at or created_at(facts) end
  if sent_at then
    return_guarded(c, n, send, app, times, sent_at)
    local counted = redis.call('HGET', c.number, Number.SENDS)
    local rest = without_send(counted, string.format(SendEntry.PACK, sent_at, app, purpose))
      or without_send(counted, string.format(SendEntry.PACK, sent_at, '', ''))
      or without_send(counted, string.format(SendEntry.PACK, sent_at, app, ''))
    if rest then redis.call('HSET', c.number, Number.SENDS, rest) end
  end
  if send ~= sends then return end
  if tonumber(deliveries) < GREATEST_UNCOUNTED then sends = int(sends - 1) end
  redis.call('HSET', c.who.record, Record.SENDING, string.format(Sending.PACK, sends, deliveries, channel, int(c.now)))
end
