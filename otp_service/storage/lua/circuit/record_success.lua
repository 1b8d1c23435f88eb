#!lua
-- A message went well: the breaker closes, and a row of faults ends.
--
-- KEYS circuit! carrier_refusals!
-- ARGV is_probe is_accepted
-- Reply 1 if the breaker was open and is closed now
-- Holds a straggler from before the trouble does not end the pause; refusals are no longer in a row only once a message
--       was accepted.
local is_open = redis.call('HEXISTS', circuit_key, Breaker.UNTIL)
if is_open == 1 and is_probe ~= '1' then return 0 end
redis.call('DEL', circuit_key)
if is_accepted == '1' then redis.call('DEL', carrier_refusals_key) end
return is_open
