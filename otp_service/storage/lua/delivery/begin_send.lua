#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: _limits.lua
-- include: _number.lua
-- include: _sends.lua
-- include: _delivery.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- A worker is about to send a delivery's request to the carrier: may it still, and with which body? The try is in the
-- record before the request is sent. `candidate`: the sealed body to use if none is kept yet. `margin_ms` must be left
-- of the code's life. `call` names this call. `spend`: the expected price that was taken for it now, as
-- `SpendTaken`, 'full' if the app has spent what it may spend today, '' if nothing was to be taken.
--
-- KEYS record! secrets! outbox! audit! timers! optouts number! run
-- ARGV token number_hash ordinal senders group entry candidate wrong_rules wrong_everywhere_rules consecutive_max margin_ms call
--      spend
-- Reply {'send', sealed body, try, ms left} · {'done'}: nothing left to do, the entry is settled ·
--       {'unreadable'}: no body kept and none given
-- Holds every try of a delivery uses the body of its first; an expired code, an opted-out person or a number whose
--       budget is spent is never sent to; of several sends that wait only the newest goes out; a delivery that may have
--       been sent is never called unsent; a call that is repeated because its reply was lost is one try.
local facts, status, expires, sending, delivery_status, its_facts, tries, unsent_tries, last_call, failed_over, born,
  first_try, rate_limited, handed_back, version =
  unpack(redis.call('HMGET', record_key, Record.FACTS, Record.STATUS, Record.EXPIRES, Record.SENDING,
  ordinal .. Delivery.STATUS, ordinal .. Delivery.FACTS, ordinal .. Delivery.TRIES, ordinal .. Delivery.UNSENT_TRIES,
  ordinal .. Delivery.CALL, ordinal .. Delivery.FAILED_OVER, Record.RUN,
  ordinal .. Delivery.FIRST_TRY, ordinal .. Delivery.RATE_LIMITED, ordinal .. Delivery.HANDED_BACK, Record.VERSION))
local sender, _, send = delivery_facts(its_facts)
local function settle_entry()
  redis.call('XACK', outbox_key, group, entry)
  redis.call('XDEL', outbox_key, entry)
  return {'done'}
end
if not facts or not status or not delivery_status or RANK[delivery_status] >= RANK['sent'] then return settle_entry() end
local now = clock()
local c = {outbox = outbox_key, audit = audit_key, timers = timers_key, optouts = optouts_key, number = number_key,
  who = subject_of(record_key, token, number_hash, facts), now = now}
local kept = read_pieces(secrets_key, Secrets.BODY .. ordinal)
if last_call == call and kept and status == 'pending' and not has_expired(now, expires, created_at(facts), born) then
  return {'send', kept, tries, int(expires - now)}
end

-- Another sender's message of the same send has arrived: one more would only be a second SMS.
local function is_delivered_by_another()
  for i = 1, deliveries_of(sending) do
    if i ~= tonumber(ordinal) then
      local other = redis.call('HMGET', record_key, i .. Delivery.FACTS, i .. Delivery.STATUS)
      local _, _, its_send = delivery_facts(other[1])
      if its_send == send and other[2] == 'delivered' then return true end
    end
  end
  return false
end

local function is_budget_spent()
  local own, all = unpack(redis.call('HMGET', number_key, Number.WRONG .. ':' .. c.who.app, Number.WRONG))
  return wrong_codes_wait(own, all, now) ~= nil
end

-- End the delivery here. What was surely never sent ends with a reason and, if `uncount`, does not count as a send;
-- what may have been sent stays unknown.
local function stop(new_status, code, title, uncount, may_fail_over)
  if may_be_sent(tries, unsent_tries) then
    advance_status(c, ordinal, 'unknown')
  elseif end_delivery(c, ordinal, new_status, {reason = code, title = title}) then
    if not (may_fail_over and fail_over(c, ordinal, code)) and uncount then uncount_send(c, ordinal) end
  end
  return settle_entry()
end

local RESTARTED = 'The store was restarted or failed over before the message could be sent, and that ended the code.'
local function stop_expired()
  local is_over = now + margin_ms >= tonumber(expires)
  return stop('expired', 'code_expired', is_over and expired_title(c, ordinal) or RESTARTED, true)
end

if status == 'expired' or (status == 'pending' and has_expired(now + margin_ms, expires, created_at(facts), born)) then
  return stop_expired()
end
if status ~= 'pending' then
  -- Counted still: canceling faster than a worker sends must not end the cool-down.
  return stop('suppressed', 'verification_' .. status, 'The verification ended before the message was sent.', false)
end
-- The next sender has it already: one more message by this one would be a second SMS.
if failed_over then
  advance_status(c, ordinal, 'unknown')
  return settle_entry()
end
-- The person asked again meanwhile: the newer message says the same, and ends later.
if tonumber(send) < tonumber((string.match(sending, Sending.PARSE))) then
  return stop('suppressed', 'replaced', 'A newer message with the same code takes its place.', true)
end
if is_delivered_by_another() then
  return stop('suppressed', 'already_delivered', 'Another sender has delivered this code.', true)
end
local profile = profile_of(senders, sender)
if blocked_profiles(optouts_key, {profile})[profile] then
  return stop('suppressed', 'opted_out', 'The person has opted out of this messaging profile.', true, true)
end
if is_budget_spent() then
  return stop('suppressed', 'too_many_wrong_codes', 'The number has spent its budget of wrong codes.', true)
end
if spend == 'full' then
  return stop('suppressed', 'spend_limit', 'The app has spent what it may spend on messages today.', true)
end
if not kept then
  if candidate == '' then return {'unreadable'} end
  if redis.call('EXISTS', secrets_key) == 0 then return stop_expired() end
  local pieces = {}
  add_pieces(pieces, Secrets.BODY .. ordinal, candidate)
  redis.call('HSET', secrets_key, unpack(pieces))
  kept = candidate
end
local try = int((tonumber(tries) or 0) + 1)
local fields = {ordinal .. Delivery.TRIES, try, ordinal .. Delivery.CALL, call, ordinal .. Delivery.UPDATED, int(now)}
local function add(name, value)
  fields[#fields + 1] = ordinal .. name
  fields[#fields + 1] = value
end
if not first_try then add(Delivery.FIRST_TRY, int(now)) end
if spend ~= '' then add(Delivery.SPEND, spend) end
if moves_up(delivery_status, 'sending') then add(Delivery.STATUS, 'sending') end
if rate_limited or handed_back then
  redis.call('HDEL', record_key, ordinal .. Delivery.RATE_LIMITED, ordinal .. Delivery.HANDED_BACK)
end
append_event(audit_key, c.who, try == '1' and 'delivery.sending' or 'delivery.retried', now, ordinal,
  '{"try":' .. try .. '}', nil, fields, version)
return {'send', kept, try, int(expires - now)}
