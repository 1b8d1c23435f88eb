#!lua
-- Claim what is to be given back because a send was never accepted, slots of limits and the expected price: one worker
-- gives it back.
--
-- KEYS timers! record!
-- ARGV delivery ordinal
-- Reply {a list of `SendSlot`, the app, the price as `SpendTaken`}; '' for each that there is none of (any more)
-- Holds it is given back once at most: a crash after the claim loses slots for the limit's window, and a price for the day.
local facts, slots, spent = unpack(redis.call('HMGET', record_key, Record.FACTS, Record.RETURNED .. ordinal,
  Record.SPEND_RETURNED .. ordinal))
redis.call('ZREM', timers_key, TimerKind.RETURN .. delivery)
if slots or spent then redis.call('HDEL', record_key, Record.RETURNED .. ordinal, Record.SPEND_RETURNED .. ordinal) end
return {slots or '', string.match(facts or '', RecordFacts.PARSE) or '', spent or ''}
