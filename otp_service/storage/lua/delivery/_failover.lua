-- Shared by the scripts that end a delivery: what follows it. Needs _delivery.lua.

-- Of a route the senders that differ from the n-th delivery's in what is to blame: its 'profile' or its 'channel'.
local function without_the_blamed(c, n, route, blamed)
  if blamed ~= 'profile' and blamed ~= 'channel' then return route end
  local own_kind, own_profile = unpack(redis.call('HMGET', c.who.record, n .. Delivery.KIND, n .. Delivery.PROFILE))
  local others = {}
  for sender, _, kind, profile in string.gmatch(route, RouteSender.EACH) do
    local is_alike = profile == own_profile
    if blamed == 'channel' then is_alike = (kind == 'whatsapp') == (own_kind == 'whatsapp') end
    if not is_alike then others[#others + 1] = sender end
  end
  return table.concat(others, ',')
end

-- What is left of the n-th delivery's route for a failover, or nil. Each delivery is followed at most once, and only
-- while its code can still be used. `blamed`: what the next sender must differ in, 'sender' if nil.
local function failover_route(c, n, blamed)
  local status, expires, next_senders, failed_over, send, sends = unpack(redis.call('HMGET', c.who.record,
    Record.STATUS,
    Record.EXPIRES, n .. Delivery.NEXT_SENDERS, n .. Delivery.FAILED_OVER, n .. Delivery.SEND, Record.SENDS))
  if status ~= 'pending' or c.now >= tonumber(expires) then return nil end
  if failed_over or not next_senders or next_senders == '' then return nil end
  -- A newer send of the same code is under way: the old one needs no failover.
  if send ~= sends then return nil end
  local route = without_the_blamed(c, n, open_route(blocked_on_route(c.optouts, next_senders), next_senders), blamed)
  return route ~= '' and route or nil
end

-- Queue the send of the n-th delivery with the next open sender of its route that differs in what is `blamed`. Returns
-- whether there was one.
local function fail_over(c, n, reason, blamed)
  local route = failover_route(c, n, blamed)
  if not route then return false end
  local send, channel, locale, autofill, within, deliveries, expires, version = unpack(redis.call('HMGET', c.who.record,
    n .. Delivery.SEND, n .. Delivery.CHANNEL, n .. Delivery.LOCALE, n .. Delivery.AUTOFILL, n .. Delivery.SENT_WITHIN,
    Record.DELIVERIES, Record.EXPIRES, Record.VERSION))
  redis.call('ZREM', c.timers, TimerKind.FAILOVER .. delivery_id(c, n))
  version = tonumber(version) or 0
  local next_n = int(deliveries + 1)
  local fields, detail = {n .. Delivery.FAILED_OVER, '1'}, cjson.encode({to = delivery_id(c, next_n), reason = reason})
  add_to_timeline(fields, version + 1, 'delivery.fell_back', c.now, n, detail)
  queue_delivery(c, next_n, route, send, channel, locale, autofill, within, expires, fields, version + 2, {},
    audit_event('delivery.fell_back', n, detail))
  return true
end

-- End a delivery for a reason: `detail` is that of its event, a title and a code or reason. Returns whether its rank
-- allowed it.
local function end_delivery(c, n, status, detail)
  if not advance_status(c, n, status) then return false end
  redis.call('HSET', c.who.record, n .. Delivery.ERROR_CODE, detail.code or detail.reason, n .. Delivery.ERROR_TITLE,
    detail.title)
  append_event(c.audit, c.who, 'delivery.' .. status, c.now, n, cjson.encode(detail))
  clear_timers(c, n)
  return true
end
