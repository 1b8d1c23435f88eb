#!lua
-- include: _common.lua
-- Revoke an API key.
--
-- KEYS  1 key  2 events to record
-- ARGV  id
-- Reply 1, or 0 if there is no such key
-- Holds a revoked key is marked as such, whatever any clock says; the mark and the event are written together; a key
--       that has ended keeps the moment.
local r = redis.call('HMGET', KEYS[1], 'app', 'revoked', 'gone')
if not r[1] then return 0 end
if r[3] then return 1 end
local now = clock()
redis.call('HSET', KEYS[1], 'gone', '1')
if r[2] ~= '' and tonumber(r[2]) <= now then return 1 end
redis.call('HSET', KEYS[1], 'revoked', int(now))
redis.call('HSET', KEYS[2], ARGV[1] .. ':revoked', 'key.revoked\31' .. r[1] .. '\31' .. cjson.encode({key_id = ARGV[1]}))
return 1
