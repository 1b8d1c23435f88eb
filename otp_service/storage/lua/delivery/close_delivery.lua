#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- Close a delivery that no report is expected for: its code has expired, and so has the time for a late report.
--
-- KEYS record! audit! timers! number!
-- ARGV token number_hash ordinal
-- Reply the status it ended in, or '' if there was nothing to close (ended before, gone, or given more time by a
--       repeat)
-- Holds every delivery ends, and with a reason; what may have been sent is never called unsent. A later report of the
--       carrier still moves it up.
local now = clock()
local facts, status, expires, tries, unsent_tries = unpack(redis.call('HMGET', record_key, Record.FACTS,
  ordinal .. Delivery.STATUS, Record.EXPIRES, ordinal .. Delivery.TRIES, ordinal .. Delivery.UNSENT_TRIES))
local c = {audit = audit_key, timers = timers_key, number = number_key, who = subject_of(record_key, token, number_hash, facts),
  now = now}
local timer = TimerKind.CLOSING .. delivery_id(c, ordinal)
local due = redis.call('ZSCORE', timers_key, timer)
if not due or tonumber(due) > now then return '' end
if not status or not expires or RANK[status] > RANK['sent'] then
  clear_timers(c, ordinal)
  return ''
end
if now < expires + CLOSE_MS then
  redis.call('ZADD', timers_key, int(expires + CLOSE_MS), timer)
  return ''
end

local function close(new_status, code, title)
  end_delivery(c, ordinal, new_status, {reason = code, title = title})
  return new_status
end
if status == 'sent' then
  return close('unconfirmed', 'no_receipt', 'The carrier accepted the message and reported nothing more.')
end
if may_be_sent(tries, unsent_tries) then
  return close('unconfirmed', 'answer_lost', 'The carrier\'s answer was lost, and no delivery report came.')
end
close('expired', 'code_expired', expired_title(c, ordinal))
uncount_send(c, ordinal)
return 'expired'
