#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- Revoke an API key.
--
-- KEYS api_key! api_key_events! api_keys_changed! run
-- ARGV id
-- Reply 1, or 0 if there is no such key
-- Holds a revoked key is marked as such, whatever any clock says; the mark and the event are written together; a key
--       that has ended keeps the moment.
local r = redis.call('HMGET', api_key_key, ApiKey.APP, ApiKey.ENDS, ApiKey.REVOKED)
if not r[1] then return 0 end
if r[3] then return 1 end
local now = clock()
redis.call('HSET', api_key_key, ApiKey.REVOKED, '1')
redis.call('SET', api_keys_changed_key, table.concat(redis.call('TIME'), '.'))
if r[2] ~= '' and tonumber(r[2]) <= now then return 1 end
redis.call('HSET', api_key_key, ApiKey.ENDS, int(now))
redis.call('HSET', api_key_events_key, id .. KeyEvent.REVOKED,
  string.format(ApiKeyEvent.PACK, 'key.revoked', r[1], caller, cjson.encode({key_id = id})))
return 1
