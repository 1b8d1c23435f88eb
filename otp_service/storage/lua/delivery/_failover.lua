-- Shared by the scripts that end a delivery: what follows it. Needs _delivery.lua. Those that may fail
-- over declare the argument senders.

-- Which of these senders (`NextSender` with commas) belong to no messaging profile that the person has opted out of.
local function open_senders(optouts, next_senders)
  local profiles, open = {}, {}
  for _, name in string.gmatch(next_senders, NextSender.EACH) do profiles[#profiles + 1] = profile_of(senders, name) end
  local blocked = blocked_profiles(optouts, profiles)
  for entry, name in string.gmatch(next_senders, NextSender.EACH) do
    if not blocked[profile_of(senders, name) or ''] then open[#open + 1] = entry end
  end
  return table.concat(open, ',')
end

-- Of a route (`NextSender` with commas) the senders that differ from this one in what is to blame: its 'profile' or its
-- 'channel'. Of a sender whose profile is not known nothing is said.
local function without_the_blamed(route, own_sender, own_kind, blamed)
  if blamed ~= 'profile' and blamed ~= 'channel' then return route end
  local own_profile, others = profile_of(senders, own_sender), {}
  for entry, name, kind in string.gmatch(route, NextSender.EACH) do
    local is_alike = own_profile and profile_of(senders, name) == own_profile
    if blamed == 'channel' then is_alike = (kind == 'whatsapp') == (own_kind == 'whatsapp') end
    if not is_alike then others[#others + 1] = entry end
  end
  return table.concat(others, ',')
end

-- What is left of the n-th delivery's route for a failover, or nil. Each delivery is followed at most once, and only
-- while its code can still be used. `blamed`: what the next sender must differ in, 'sender' if nil.
local function failover_route(c, n, blamed)
  local status, expires, facts, failed_over, sending = unpack(redis.call('HMGET', c.who.record, Record.STATUS,
    Record.EXPIRES, n .. Delivery.FACTS, n .. Delivery.FAILED_OVER, Record.SENDING))
  local sender, kind, send, _, _, _, _, next_senders = delivery_facts(facts)
  if status ~= 'pending' or c.now >= tonumber(expires) then return nil end
  if failed_over or not next_senders or next_senders == '' then return nil end
  -- A newer send of the same code is under way: the old one needs no failover.
  if send ~= string.match(sending, Sending.PARSE) then return nil end
  local route = without_the_blamed(open_senders(c.optouts, next_senders), sender, kind, blamed)
  return route ~= '' and route or nil
end

-- The expected price of the n-th delivery, for the one that follows it (`fields`): what was taken and not spent, or, where
-- the message may cost something, a price that is yet to be taken.
local function pass_spend(c, n, next_n, fields)
  local taken, returned = unpack(redis.call('HMGET', c.who.record, n .. Delivery.SPEND, Record.SPEND_RETURNED .. n))
  local _, micros, region = string.match(taken or '', SpendTaken.PARSE)
  if returned then redis.call('HDEL', c.who.record, Record.SPEND_RETURNED .. n) end
  if not (returned or micros) then return end
  fields[#fields + 1] = next_n .. Delivery.SPEND
  fields[#fields + 1] = returned or string.format(SpendTaken.PACK, '', micros, region)
end

-- Queue the send of the n-th delivery with the next open sender of its route that differs in what is `blamed`. Returns
-- whether there was one.
local function fail_over(c, n, reason, blamed)
  local route = failover_route(c, n, blamed)
  if not route then return false end
  local facts, autofill, sending, version = unpack(redis.call('HMGET', c.who.record, n .. Delivery.FACTS,
    n .. Delivery.AUTOFILL, Record.SENDING, Record.VERSION))
  local sends, deliveries, last_channel, next_send = string.match(sending, Sending.PARSE)
  local _, _, send, channel, locale, _, within = delivery_facts(facts)
  redis.call('ZREM', c.timers, TimerKind.FAILOVER .. delivery_id(c, n))
  version = tonumber(version) or 0
  local next_n = int(deliveries + 1)
  local fields = {n .. Delivery.FAILED_OVER, '1', Record.SENDING,
    string.format(Sending.PACK, sends, next_n, last_channel, next_send)}
  local detail = cjson.encode({to = delivery_id(c, next_n), reason = reason})
  pass_spend(c, n, next_n, fields)
  add_to_timeline(fields, version + 1, 'delivery.fell_back', c.now, n, detail)
  queue_delivery(c, next_n, route, send, channel, locale, autofill, within, fields, version + 2, {},
    audit_event('delivery.fell_back', n, detail))
  return true
end

-- A worker gives back what the delivery took of what its app may spend in a day, unless its message may have been sent.
-- A refusal is the answer to its last try; what an earlier one did is not known then.
local function return_spend(c, n, status)
  local taken, tries, unsent_tries = unpack(redis.call('HMGET', c.who.record, n .. Delivery.SPEND, n .. Delivery.TRIES,
    n .. Delivery.UNSENT_TRIES))
  if not taken or status == 'unconfirmed' or tonumber(tries or 0) - tonumber(unsent_tries or 0) > 1 then return end
  if string.match(taken, SpendTaken.PARSE) == '' then return end
  redis.call('HDEL', c.who.record, n .. Delivery.SPEND)
  redis.call('HSET', c.who.record, Record.SPEND_RETURNED .. n, taken)
  redis.call('ZADD', c.timers, int(c.now), TimerKind.RETURN .. delivery_id(c, n))
end

-- End a delivery for a reason: `detail` is that of its event, a title and a code or reason. Returns whether its rank
-- allowed it.
local function end_delivery(c, n, status, detail)
  if not advance_status(c, n, status) then return false end
  redis.call('HSET', c.who.record, n .. Delivery.ERROR_CODE, detail.code or detail.reason, n .. Delivery.ERROR_TITLE,
    detail.title)
  append_event(c.audit, c.who, 'delivery.' .. status, c.now, n, cjson.encode(detail))
  clear_timers(c, n)
  return_spend(c, n, status)
  return true
end
