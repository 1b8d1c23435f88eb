#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: delivery/_messages.lua
-- include: delivery/_failover.lua
-- include: delivery/_carrier_optout.lua
-- Apply a delivery report (a webhook, or the carrier's reply to a poll) to a delivery. `carrier_status` is the
-- carrier's own, `carrier_rank` its rank, `status` ours. `recipient` is the keyed hash of the number in the report,
-- `opted_out` '1' if the person is on the carrier's block list, `blamed` as in record_refused.lua.
--
-- KEYS record! outbox! audit! timers! optouts! number! secrets! sticky! opted_out!
--      webhooks!
-- ARGV token number_hash ordinal senders message_id carrier_status carrier_rank status code title blamed opted_out
--      recipient first_poll_ms sticky_ttl_ms cost currency webhook sealed_webhook
-- Where cost: what the message cost, in millionths of the currency, '' if the report does not say it · webhook: the
--       commitment to the webhook that says so, or '' · sealed_webhook: its bytes
-- Reply {'moved', sender, `SettledCost`} · {'same', '', `SettledCost`} · {'foreign'}: not this delivery's message.
--       `SettledCost`: '' if the cost is no news
-- Holds a report that comes again changes nothing, and its cost is told once; the delivery never moves backwards, in whatever order reports
--       come; a failed one claims the next sender exactly once; the verification itself never changes here.
local facts, known_id, known_rank, delivery_status, its_facts, known_cost, spend = unpack(redis.call('HMGET', record_key, Record.FACTS,
  ordinal .. Delivery.MESSAGE_ID, ordinal .. Delivery.CARRIER_RANK, ordinal .. Delivery.STATUS,
  ordinal .. Delivery.FACTS, ordinal .. Delivery.COST, ordinal .. Delivery.SPEND))
local sender, _, send, channel = delivery_facts(its_facts)
local who = subject_of(record_key, token, number_hash, facts)
if not facts or not delivery_status or number_hash ~= recipient or (known_id and known_id ~= message_id) then
  return {'foreign'}
end
local now = clock()
local c = {outbox = outbox_key, audit = audit_key, timers = timers_key,
  optouts = optouts_key, who = who, now = now}
local id = delivery_id(c, ordinal)

-- That the carrier knows the message at all means that it accepted it.
local function record_acceptance()
  redis.call('HSET', record_key, ordinal .. Delivery.MESSAGE_ID, message_id, Record.ACCEPTED .. send, '1')
  remember_message(number_key, message_id, token, ordinal)
  forget_body(secrets_key, ordinal)
end

local function record_carrier_status()
  redis.call('HSET', record_key, ordinal .. Delivery.CARRIER_STATUS, carrier_status, ordinal .. Delivery.CARRIER_RANK,
    carrier_rank, ordinal .. Delivery.UPDATED, int(now))
end

-- A cost that is news, in units of its currency. The audit record alone has it.
local function with_cost(detail, is_new)
  if is_new then
    detail.cost = string.format('%.0f.%06.0f', math.floor(cost / 1000000), cost % 1000000)
    detail.currency = currency
  end
  return cjson.encode(detail)
end

-- A new status of the carrier that is no new one of ours, or another cost: on record, because every version of a
-- verification has its event, and not in the timeline, which shows our own.
local function record_report(is_new_cost)
  append_audit(audit_key, c.who, audit_event('report.received', ordinal,
    with_cost({carrier_status = carrier_status}, is_new_cost)), redis.call('HINCRBY', record_key, Record.VERSION, 1))
end

local function update_timers()
  if status ~= 'sent' then return clear_timers(c, ordinal) end
  redis.call('ZREM', timers_key, TimerKind.RETRY .. id)
  redis.call('ZADD', timers_key, 'NX', int(now + first_poll_ms), TimerKind.POLL .. id)
end

local function update_error()
  if status == 'failed' then
    redis.call('HSET', record_key, ordinal .. Delivery.ERROR_CODE, code, ordinal .. Delivery.ERROR_TITLE, title)
  else
    redis.call('HDEL', record_key, ordinal .. Delivery.ERROR_CODE, ordinal .. Delivery.ERROR_TITLE)
  end
end

-- The sender that reached this person is the first of the next route; one that did not, no longer.
local function update_sticky_sender()
  local slot = string.format(StickySlot.PACK, channel, who.app)
  if status == 'failed' and redis.call('HGET', sticky_key, slot) == sender then
    redis.call('HDEL', sticky_key, slot)
  elseif status == 'delivered' then
    redis.call('HSET', sticky_key, slot, sender)
    redis.call('PEXPIRE', sticky_key, sticky_ttl_ms)
  end
end

local function record_status(is_new_cost)
  local detail = {carrier_status = carrier_status}
  if status == 'failed' and code ~= '' then detail.code, detail.title = code, title end
  local kept = cjson.encode(detail)
  -- The timeline takes it from the record, the audit record has no other place for it.
  if status == 'sent' then detail.message_id = message_id end
  append_event(audit_key, c.who, 'delivery.' .. status, now, ordinal, with_cost(detail, is_new_cost), kept)
end

-- What the message cost, as far as that is news. A later report may correct an earlier one, in the same currency.
local function settle_cost()
  local before, its_currency = string.match(known_cost or '', DeliveryCost.PARSE)
  local is_old = tonumber(carrier_rank) < tonumber(known_rank or -1)
  if cost == '' or before == cost or (before and (is_old or its_currency ~= currency)) then return '' end
  redis.call('HSET', record_key, ordinal .. Delivery.COST, string.format(DeliveryCost.PACK, cost, currency))
  local day, expected = string.match(spend or '', SpendTaken.PARSE)
  local is_taken = day and day ~= ''
  return string.format(SettledCost.PACK, who.app, is_taken and day or '', is_taken and expected or '0', before or '')
end

who.webhook = {key = webhooks_key, commitment = webhook, sealed = sealed_webhook}
if not known_id then record_acceptance() end
local settled = settle_cost()
local is_news = tonumber(carrier_rank) > tonumber(known_rank or -1)
if is_news then record_carrier_status() end
if not advance_status(c, ordinal, status) then
  if is_news or settled ~= '' then record_report(settled ~= '') end
  return {'same', '', settled}
end
update_timers()
update_error()
update_sticky_sender()
record_status(settled ~= '')
if status == 'failed' and opted_out == '1' then
  add_carrier_optout(c, opted_out_key, ordinal, profile_of(senders, sender))
end
if status == 'failed' and blamed ~= '' then
  fail_over(c, ordinal, code ~= '' and code or 'delivery_failed', blamed)
end
return {'moved', sender, settled}
