#!lua
-- Give a dead letter to the workers again: an outbox entry to whoever takes it, a timer as it was.
--
-- KEYS dead! outbox! timers!
-- ARGV letter
-- Where letter: the id of the dead letter
-- Reply 1 if it was given back, 0 if it is gone, or is none that we wrote
-- Holds nothing is removed without being given back; a timer that is set again meanwhile stays as it is.
local found = redis.call('XRANGE', dead_key, letter, letter)[1]
if not found then return 0 end
local fields = found[2]
if fields[1] == DeadLetter.TIMER and fields[3] == DeadLetter.DUE then
  redis.call('ZADD', timers_key, 'NX', fields[4], fields[2])
elseif fields[1] == DeadLetter.ENTRY and fields[3] ~= DeadLetter.PACKED and #fields > 2 then
  redis.call('XADD', outbox_key, '*', unpack(fields, 3))
else
  return 0
end
redis.call('XDEL', dead_key, letter)
return 1
