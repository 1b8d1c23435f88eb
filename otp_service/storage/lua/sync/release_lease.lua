#!lua
-- Release the lease to read the list of opt-outs, and pause the reading.
--
-- KEYS sync_lease! sync_pause!
-- ARGV owner pause_ms
-- Where pause_ms '0': none
-- Reply 1, or 0 if another process reads the list by now: then nothing changes
-- Holds a reader whose lease ran out does not end the other's reading.
if redis.call('GET', sync_lease_key) ~= owner then return 0 end
redis.call('DEL', sync_lease_key)
if pause_ms ~= '0' then redis.call('SET', sync_pause_key, '1', 'PX', pause_ms) end
return 1
