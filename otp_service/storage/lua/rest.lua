#!lua
-- Give the right to read the list of opt-outs back, and let the list rest.
--
-- KEYS  1 lease  2 rest mark
-- ARGV  owner · rest ms ('0': none)
-- Reply 1, or 0 if another process reads the list by now: then nothing changes
-- Holds a reader that was overtaken does not end the other's reading.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '0' then redis.call('SET', KEYS[2], '1', 'PX', ARGV[2]) end
return 1
