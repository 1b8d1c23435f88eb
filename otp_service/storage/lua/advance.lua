#!lua
-- Write down how far a profile's list of opt-outs has been read, and stay its reader.
--
-- KEYS  1 lease  2 cursor
-- ARGV  owner · lease ms · done ms · edge ms · page
-- Reply 1, or 0 if another process reads the list by now: then nothing is written
-- Holds only the reader moves the cursor.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'done', ARGV[3], 'edge', ARGV[4], 'page', ARGV[5])
return 1
