#!lua
-- Record how far a profile's list of opt-outs has been read, and renew the lease.
--
-- KEYS sync_lease! sync_cursor!
-- ARGV owner lease_ms done_ms edge_ms page
-- Reply 1, or 0 if another process reads the list by now: then nothing is written
-- Holds only the holder of the lease moves the cursor.
if redis.call('GET', sync_lease_key) ~= owner then return 0 end
redis.call('PEXPIRE', sync_lease_key, lease_ms)
redis.call('HSET', sync_cursor_key, SyncCursor.DONE, done_ms, SyncCursor.EDGE, edge_ms, SyncCursor.PAGE, page)
return 1
