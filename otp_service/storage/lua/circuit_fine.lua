#!lua
-- A message went well: the breaker closes, and a row of faults ends.
--
-- KEYS  1 circuit  2 refusals
-- ARGV  '1' if the message was let through as a probe · '1' if it was accepted: refusals are no longer in a row either
-- Reply 1 if the breaker was open and is closed now
-- Holds a straggler from before the trouble does not end the pause.
local r = redis.call('HGET', KEYS[1], 'until')
if r and ARGV[1] ~= '1' then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '1' then redis.call('DEL', KEYS[2]) end
return r and 1 or 0
