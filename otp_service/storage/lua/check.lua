#!lua
-- include: _common.lua
-- include: _ending.lua
-- include: _sends.lua
-- Judge one guess.
--
-- KEYS  1 op  2 record  3 secrets  4 wrong  5 streak  6 audit  7 timeline  8 timers  9 wrong over all apps
--       10 sends  11 latest (only if asked by number)
-- ARGV  op id · op ttl ms · id's body · app · receipt id · wrong rules · consecutive max · streak ttl ms ·
--       tombstone ms · asserted number hash or '' · asserted purpose or '' · request key or '' ·
--       wrong rules over all apps · kid · digest [· kid · digest ...]
-- Reply {op, 'no_key', kid}: made under a pepper that is not given ·
--       {op, 'approved', ms, number hash, purpose, channel, context hash, receipt id, mask} · {op, 'wrong', checks left} ·
--       {op, 'ended', status} · {op, 'limited', ms} · {op, 'not_found'} · {op, 'moved', body}
-- Holds the guess is counted in every budget before it is compared, so a store that refuses writes never answers a
--       guess; at most `max` guesses of a verification are ever compared, and at most one is ever approved. A
--       verification that is not as asserted is not found, and nothing is counted. The request that was approved gets
--       its approval again.
local op, op_ttl, body, app, receipt, rules, consecutive_max, streak_ttl, tombstone, number, purpose, request,
  all_rules = unpack(ARGV, 1, 13)
local done = redis.call('GET', KEYS[1])
if done then
  local reply = {}
  for part in string.gmatch(done, '([^\31]*)\31') do reply[#reply + 1] = part end
  return reply
end
if KEYS[11] then
  local latest = redis.call('GET', KEYS[11])
  if latest ~= body then return {op, 'moved', latest or ''} end
end

local r = redis.call('HMGET', KEYS[2], 'app', 'status', 'expires', 'attempts', 'max', 'kid', 'nh', 'mask',
  'purpose', 'channel', 'ctx', 'receipt', 'ended', 'request', 'created')
for i = 1, 11 do
  if not r[i] then return {op, 'not_found'} end
end
if r[1] ~= app then return {op, 'not_found'} end
if (number ~= '' and number ~= r[7]) or (purpose ~= '' and purpose ~= r[9]) then return {op, 'not_found'} end
local now = clock()
local who = {rec = KEYS[2], vid = body, app = app, mask = r[8], nh = r[7], op = op}
if r[2] == 'pending' and is_over(now, r[3], r[15] or now) then
  finish(KEYS[2], KEYS[3], KEYS[7], KEYS[8], body, 'expired', now, tombstone)
  record(KEYS[6], KEYS[7], who, 'verification.expired', now)
  return {op, 'ended', 'expired'}
end
if r[2] == 'approved' and request ~= '' and request == r[14] then
  return {op, 'approved', r[13], r[7], r[9], r[10], r[11], r[12], r[8]}
end
if r[2] ~= 'pending' then return {op, 'ended', r[2]} end
local digest = redis.call('HGET', KEYS[3], 'digest')
if not digest then return {op, 'not_found'} end
local wait = math.max(over(KEYS[4], rules, now) or 0, over(KEYS[9], all_rules, now) or 0)
if tonumber(redis.call('GET', KEYS[5]) or 0) >= tonumber(consecutive_max) then
  wait = math.max(wait, 1, redis.call('PTTL', KEYS[5]))
end
if wait > 0 then return {op, 'limited', int(wait)} end

-- A code whose pepper is not at hand cannot be judged: no guess may be lost on it.
local judged
for i = 14, #ARGV, 2 do
  if ARGV[i] == r[6] then judged = ARGV[i + 1] end
end
if not judged then return {op, 'no_key', r[6]} end

-- Count first: against the number, in this app and over all apps, then against the verification.
local function count(list, limits)
  redis.call('LPUSH', list, int(now))
  redis.call('LTRIM', list, 0, consecutive_max - 1)
  redis.call('PEXPIRE', list, (reach(limits)))
end
count(KEYS[4], rules)
count(KEYS[9], all_rules)
local attempts = redis.call('HINCRBY', KEYS[2], 'attempts', 1)

local reply
if judged == digest then
  -- A right guess is no wrong one: take back what was counted against the number. The verification's count stays.
  redis.call('LPOP', KEYS[4])
  redis.call('LPOP', KEYS[9])
  redis.call('DEL', KEYS[5])
  reset_ladder(KEYS[10], app, r[9])
  redis.call('HSET', KEYS[2], 'receipt', receipt)
  if request ~= '' then redis.call('HSET', KEYS[2], 'request', request) end
  finish(KEYS[2], KEYS[3], KEYS[7], KEYS[8], body, 'approved', now, tombstone)
  record(KEYS[6], KEYS[7], who, 'verification.approved', now)
  reply = {op, 'approved', int(now), r[7], r[9], r[10], r[11], receipt, r[8]}
else
  redis.call('INCR', KEYS[5])
  redis.call('PEXPIRE', KEYS[5], streak_ttl)
  local left = r[5] - attempts
  record(KEYS[6], KEYS[7], who, 'check.failed', now, nil, '{"checks_left":' .. int(left) .. '}')
  if left > 0 then
    reply = {op, 'wrong', int(left)}
  else
    finish(KEYS[2], KEYS[3], KEYS[7], KEYS[8], body, 'exhausted', now, tombstone)
    record(KEYS[6], KEYS[7], who, 'verification.exhausted', now)
    reply = {op, 'ended', 'exhausted'}
  end
end
redis.call('SET', KEYS[1], table.concat(reply, '\31') .. '\31', 'PX', op_ttl)
return reply
