#!lua
-- Acquire the lease to read the carrier's list of opt-outs, unless another process has it or the list was read lately.
--
-- KEYS sync_lease! sync_pause
-- ARGV owner lease_ms force
-- Where force '1': although the list was read lately
-- Reply 0 if it is the owner's now, else milliseconds until it may be
-- Holds one process at a time reads the list; the lease of a crashed one runs out.
local holder = redis.call('GET', sync_lease_key)
if holder and holder ~= owner then return math.max(1, redis.call('PTTL', sync_lease_key)) end
if not holder and force ~= '1' then
  local pause = redis.call('PTTL', sync_pause_key)
  if pause > 0 then return pause end
end
redis.call('SET', sync_lease_key, owner, 'PX', lease_ms)
return 0
