#!lua
-- include: _common.lua
-- include: _delivery.lua
-- The worker is about to call the carrier: may it still, and with which bytes? Writes the try to the record (the send
-- ledger) before anything leaves the house.
--
-- KEYS  1 record  2 secrets  3 outbox  4 audit  5 timeline  6 timers  7 optouts  8 wrong  9 streak  10 wrong over all
--       apps  11 sends
-- ARGV  id's body · ordinal · group · outbox entry · sealed body to use if none is kept yet · wrong rules ·
--       consecutive max · milliseconds that must be left of the code's life · token of this call ·
--       wrong rules over all apps
-- Reply {'send', sealed body, try, ms left} · {'done'}: nothing left to do, the entry is settled ·
--       {'unreadable'}: no body kept and none given
-- Holds every try of a delivery uses the bytes of its first; an expired code, an opted-out person or a number whose
--       budget is spent is never sent to; a delivery that may have been sent is never called unsent; a call that
--       is repeated because its reply was lost is one try.
local body, n, group, entry, candidate, rules, consecutive_max, margin, token, all_rules = unpack(ARGV)
local p = n .. ':'
local function settled()
  redis.call('XACK', KEYS[3], group, entry)
  redis.call('XDEL', KEYS[3], entry)
  return {'done'}
end
local r = redis.call('HMGET', KEYS[1], 'status', 'expires', p .. 'st', p .. 'prof', 'app', 'mask', 'nh', p .. 'snd',
  p .. 'try', p .. 'home', p .. 'token', p .. 'fo', 'created')
if not r[1] or not r[3] then return settled() end
if r[3] ~= 'queued' and r[3] ~= 'sending' and r[3] ~= 'unknown' then return settled() end
local now = clock()
local c = {rec = KEYS[1], outbox = KEYS[3], audit = KEYS[4], timeline = KEYS[5], timers = KEYS[6], optouts = KEYS[7],
  sends = KEYS[11], who = {rec = KEYS[1], vid = body, app = r[5], mask = r[6], nh = r[7]}, body = body, now = now}
-- Of `try` tries `home` are known never to have left the house; any other may have reached the person.
local tried = tonumber(r[9] or 0) > tonumber(r[10] or 0)
if r[11] == token then
  local kept = redis.call('HGET', KEYS[2], 'b' .. n)
  if kept and r[1] == 'pending' then return {'send', kept, r[9], int(r[2] - now)} end
end

-- Another sender's message of the same send has arrived: one more would only be a second SMS.
local function arrived()
  local own = redis.call('HMGET', KEYS[1], p .. 'send', 'dn')
  for i = 1, tonumber(own[2]) do
    if i ~= tonumber(n) then
      local other = redis.call('HMGET', KEYS[1], i .. ':send', i .. ':st')
      if other[1] == own[1] and other[2] == 'delivered' then return true end
    end
  end
  return false
end

-- Stop here. What was surely never sent ends with a reason; what may have been sent stays unknown. `kept`: the send
-- stays counted.
local function stop(status, code, title, may_fall, kept)
  if tried then
    move(c, n, 'unknown')
  elseif move(c, n, status) then
    redis.call('HSET', KEYS[1], p .. 'ec', code, p .. 'et', title)
    record(c.audit, c.timeline, c.who, 'delivery.' .. status, now, delivery_id(c, n),
      cjson.encode({reason = code, title = title}))
    settle_timers(c, n)
    if not (may_fall and fail_over(c, n, code)) and not kept then give_back(c, n) end
  end
  return settled()
end
if r[1] == 'expired' or (r[1] == 'pending' and is_over(now + margin, r[2], r[13] or now)) then
  return stop('expired', 'code_expired', too_late(c, n))
end
if r[1] ~= 'pending' then
  -- Counted still: canceling faster than a worker sends must not end the cool-down.
  return stop('suppressed', 'verification_' .. r[1], 'The verification ended before the message was sent.', false, true)
end
-- The next sender has it by now: one more message by this one would be a second SMS.
if r[12] then
  move(c, n, 'unknown')
  return settled()
end
if arrived() then
  return stop('suppressed', 'already_delivered', 'Another sender has delivered this code.')
end
if open_route(KEYS[7], r[8] .. '|x|' .. r[4]) == '' then
  return stop('suppressed', 'opted_out', 'The person has opted out of this messaging profile.', true)
end
if over(KEYS[8], rules, now) or over(KEYS[10], all_rules, now)
  or tonumber(redis.call('GET', KEYS[9]) or 0) >= tonumber(consecutive_max) then
  return stop('suppressed', 'too_many_wrong_codes', 'The number has spent its budget of wrong codes.')
end
local kept = redis.call('HGET', KEYS[2], 'b' .. n)
if not kept then
  if candidate == '' then return {'unreadable'} end
  if redis.call('EXISTS', KEYS[2]) == 0 then return stop('expired', 'code_expired', too_late(c, n)) end
  redis.call('HSET', KEYS[2], 'b' .. n, candidate)
  kept = candidate
end
local try = redis.call('HINCRBY', KEYS[1], p .. 'try', 1)
redis.call('HSET', KEYS[1], p .. 'token', token, p .. 'u', int(now))
redis.call('HSETNX', KEYS[1], p .. 'out', int(now))
redis.call('HDEL', KEYS[1], p .. 'paced', p .. 'back')
move(c, n, 'sending')
record(c.audit, c.timeline, c.who, try == 1 and 'delivery.sending' or 'delivery.retried', now, delivery_id(c, n),
  '{"try":' .. try .. '}')
return {'send', kept, tostring(try), int(r[2] - now)}
