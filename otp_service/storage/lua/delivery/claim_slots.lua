#!lua
-- Claim the slots that are to be given back because a send was never accepted: one worker gives them back.
--
-- KEYS timers! record!
-- ARGV delivery ordinal
-- Reply a list of `SendSlot`, or '' if there is none (any more)
-- Holds slots are given back once at most: a crash after the claim loses them for the limit's window.
local slots = redis.call('HGET', record_key, Record.RETURNED .. ordinal)
redis.call('ZREM', timers_key, TimerKind.RETURN .. delivery)
if not slots then return '' end
redis.call('HDEL', record_key, Record.RETURNED .. ordinal)
return slots
