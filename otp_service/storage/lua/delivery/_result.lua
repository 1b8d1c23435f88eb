-- Shared by the scripts that record what became of a try. Each of them declares the keys record, outbox, audit,
-- timers, optouts and number, and the arguments token, number_hash, ordinal, senders, group and entry. Needs _delivery.lua,
-- delivery/_failover.lua and delivery/_unsent.lua.
local facts, expires, delivery_status, its_facts, tries, unsent_tries, version, known_message, known_carrier_status =
  unpack(redis.call('HMGET', record_key, Record.FACTS, Record.EXPIRES, ordinal .. Delivery.STATUS,
  ordinal .. Delivery.FACTS, ordinal .. Delivery.TRIES, ordinal .. Delivery.UNSENT_TRIES, Record.VERSION,
  ordinal .. Delivery.MESSAGE_ID, ordinal .. Delivery.CARRIER_STATUS))
local sender, _, send, _, _, queued, sent_within = delivery_facts(its_facts)
local now = clock()
local c = {outbox = outbox_key, audit = audit_key, timers = timers_key, optouts = optouts_key, number = number_key,
  who = subject_of(record_key, token, number_hash, facts), now = now}
local id = delivery_id(c, ordinal)

-- Take the entry out of the outbox. Returns whether this call is the first to do so.
local function settle_entry()
  redis.call('XACK', outbox_key, group, entry)
  return redis.call('XDEL', outbox_key, entry) == 1
end

-- The record is gone, or a delivery report was faster: nothing changes.
local function is_late()
  return not facts or not delivery_status or RANK[delivery_status] >= RANK['sent']
end

-- Nothing was sent by this sender: the next one that differs in what is `blamed` has it, unless nothing ('') would
-- help, or the send does not count.
local function fail(status, code, title, blamed)
  end_delivery(c, ordinal, status, {code = code, title = title})
  if blamed ~= '' and fail_over(c, ordinal, code, blamed) then return 'failed_over' end
  uncount_send(c, ordinal)
  return 'failed'
end

local function become_unknown(reason)
  if not advance_status(c, ordinal, 'unknown') then return end
  append_event(audit_key, c.who, 'delivery.unknown', now, ordinal, cjson.encode({reason = reason}))
end

-- Put it into the outbox again after a wait, at the code's end at the latest.
local function schedule_retry(wait_ms)
  redis.call('ZADD', timers_key, int(math.min(now + wait_ms, expires)), TimerKind.RETRY .. id)
end

-- `unsent`: a try was made, and surely nothing of it was sent.
local function record_wait(reason, wait_ms, unsent)
  append_event(audit_key, c.who, 'delivery.put_off', now, ordinal,
    cjson.encode({reason = reason, wait_ms = tonumber(wait_ms), unsent = unsent}))
end

-- The failover in time has waited for an answer that is here now.
local function expect_failover_in_time()
  local at = math.max(now, (queued ~= '' and queued or created_at(facts)) + sent_within)
  if tonumber(redis.call('ZSCORE', timers_key, TimerKind.FAILOVER .. id) or 0) > at then
    redis.call('ZADD', timers_key, int(at), TimerKind.FAILOVER .. id)
  end
end
