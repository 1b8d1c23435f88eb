#!lua
-- include: _common.lua
-- include: _delivery.lua
-- include: _sends.lua
-- include: delivery/_failover.lua
-- include: delivery/_unsent.lua
-- The time in which a message should have been sent is over: the next sender has it if it was not sent. A request to
-- the carrier has its answer within `under_way_ms`; a report on a message is awaited for `report_wait_ms`.
--
-- KEYS record! outbox! audit! timers! optouts
-- ARGV token number_hash ordinal senders under_way_ms report_wait_ms
-- Reply {'failed_over'} · {'poll', message id}: poll the carrier first, the timer comes again · {'no'}: it was sent,
--       there is no other sender, or the timer comes again later
-- Holds the next sender is claimed once. A message that the carrier accepted is given up only if the carrier itself
--       reports that it still queues it; what was never sent is not sent after another sender has it.
local facts, status, tries, unsent_tries, updated, carrier_rank, message_id, polls, reason, call, rate_limited,
  its_facts, handed_back = unpack(redis.call('HMGET', record_key, Record.FACTS, ordinal .. Delivery.STATUS,
  ordinal .. Delivery.TRIES, ordinal .. Delivery.UNSENT_TRIES, ordinal .. Delivery.UPDATED,
  ordinal .. Delivery.CARRIER_RANK, ordinal .. Delivery.MESSAGE_ID, ordinal .. Delivery.FAILOVER_POLLS,
  ordinal .. Delivery.WAIT_REASON, ordinal .. Delivery.CALL, ordinal .. Delivery.RATE_LIMITED,
  ordinal .. Delivery.FACTS, ordinal .. Delivery.HANDED_BACK))
local _, _, _, _, _, _, sent_within = delivery_facts(its_facts)
local now = clock()
local c = {outbox = outbox_key, audit = audit_key, timers = timers_key, optouts = optouts_key,
  who = subject_of(record_key, token, number_hash, facts), now = now}
local timer = TimerKind.FAILOVER .. delivery_id(c, ordinal)
local due = redis.call('ZSCORE', timers_key, timer)
if not due or tonumber(due) > now then return {'no'} end
redis.call('ZREM', timers_key, timer)
if not status or RANK[status] > RANK['sent'] or not failover_route(c, ordinal) then return {'no'} end

local function come_again(ms)
  redis.call('ZADD', timers_key, int(now + ms), timer)
  return {'no'}
end

local function fail_over_because(why)
  fail_over(c, ordinal, why)
  return {'failed_over'}
end

-- The carrier accepted it. Rank 2 is the carrier's own `sent`: handed over. Below that it is in the carrier's queue.
-- Without a report the carrier is polled again, less and less often, while the code lives.
local function judge_accepted()
  if carrier_rank and tonumber(carrier_rank) >= 2 then return {'no'} end
  if polls and carrier_rank then return fail_over_because('carrier_queue') end
  come_again(report_wait_ms * redis.call('HINCRBY', record_key, ordinal .. Delivery.FAILOVER_POLLS, 1))
  return {'poll', message_id}
end

-- Nobody who could send it has looked at it: there was no worker, or none that has its key. The sender is not to blame.
local function has_waited_for_a_worker()
  return handed_back or not (tries or reason or rate_limited)
end

if status == 'sent' then return judge_accepted() end
-- The last of the tries that may have been sent may be under way; if there are two, an earlier one's answer is lost.
local may_have_been_sent = tonumber(tries or 0) - tonumber(unsent_tries or 0)
if status == 'sending' and call and may_have_been_sent == 1 and now < updated + under_way_ms then
  -- Of a try that began in the future, since the clock was set back, nobody knows when it did: it began now.
  if tonumber(updated) > now then redis.call('HSET', record_key, ordinal .. Delivery.UPDATED, int(now)) end
  updated = math.min(updated, now)
  return come_again(updated + under_way_ms - now)
end
if may_have_been_sent > 0 then return fail_over_because('answer_lost') end
if has_waited_for_a_worker() then return come_again(sent_within) end
end_delivery(c, ordinal, 'failed', {code = 'not_sent_in_time',
  title = 'It could not be sent in time' .. (reason and ': ' .. reason .. '.' or '.')})
return fail_over_because('not_sent_in_time')
