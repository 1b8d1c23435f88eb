#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _life.lua
-- include: _ending.lua
-- include: _delivery.lua
-- End a verification whose time has run out; called when its timer is due, also if it has ended before. Its deliveries
-- that are open get a timer for their closing.
--
-- KEYS record! secrets! audit! timers! run
-- ARGV token number_hash
-- Reply 1 if it ended now, 0 if there was nothing to do (ended before, gone, or given more time by a resend)
-- Holds a timer that comes early changes nothing: the record's own times decide.
local facts, status, expires, sending, version, born = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.STATUS,
  Record.EXPIRES, Record.SENDING, Record.VERSION, Record.RUN))
local now = clock()
if expires and not has_expired(now, expires, created_at(facts), born) then
  redis.call('ZADD', timers_key, expires, TimerKind.EXPIRY .. token)
  return 0
end
redis.call('ZREM', timers_key, TimerKind.EXPIRY .. token)
if not expires then return 0 end

-- What is still open is closed when the time for a late report is over, too.
local closings = {}
for n = 1, deliveries_of(sending) do
  local delivery_status = redis.call('HGET', record_key, n .. Delivery.STATUS)
  if RANK[delivery_status] <= RANK['sent'] then
    closings[#closings + 1] = int(expires + CLOSE_MS)
    closings[#closings + 1] = TimerKind.CLOSING .. delivery_id({who = {token = token}}, int(n))
  end
end
if #closings > 0 then redis.call('ZADD', timers_key, unpack(closings)) end
if status ~= 'pending' then return 0 end
local c = {audit = audit_key, secrets = secrets_key, now = now,
  who = subject_of(record_key, token, number_hash, facts)}
end_verification(c, 'verification.expired', version)
return 1
