#!lua
-- Take the right to read the carrier's list of opt-outs, unless another process has it or the list was read lately.
--
-- KEYS  1 lease  2 rest mark
-- ARGV  owner · lease ms · '1' to take it although the list was read lately
-- Reply 0 if it is the owner's now, else milliseconds until it may be
-- Holds one process at a time reads the list; a crashed one's right ends with its lease.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return math.max(1, redis.call('PTTL', KEYS[1])) end
if not holder and ARGV[3] ~= '1' then
  local rest = redis.call('PTTL', KEYS[2])
  if rest > 0 then return rest end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0
