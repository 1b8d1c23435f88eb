#!lua
-- A message went well: the breaker closes, and a row of faults ends.
--
-- KEYS  1 circuit
-- ARGV  '1' if the message was let through as a probe
-- Reply 1 if the breaker was open and is closed now
-- Holds a straggler from before the trouble does not end the pause.
local r = redis.call('HGET', KEYS[1], 'until')
if not r then
  redis.call('DEL', KEYS[1])
  return 0
end
if ARGV[1] ~= '1' then return 0 end
redis.call('DEL', KEYS[1])
return 1
