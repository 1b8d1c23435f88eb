#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- Make an API key, or one that replaces another, which then ends after an overlap.
--
-- KEYS api_key! api_keys! api_key_events! api_keys_changed! run [replaced_api_key!]
-- ARGV id digest app scopes lifetime_ms replaced_id overlap_ms
-- Where lifetime_ms '': without end · replaced_id '': none
-- Reply {app, scopes, ms at which it ends or ''} · {} if there is no valid key to replace
-- Holds a key and its event are written together; the store's clock says when a key ends, and an overlap never
--       prolongs one.
local same = redis.call('HMGET', api_key_key, ApiKey.DIGEST, ApiKey.APP, ApiKey.SCOPES, ApiKey.EXPIRES)
if same[1] then return same[1] == digest and {same[2], same[3], same[4]} or {} end
local now = clock()
local expires = lifetime_ms ~= '' and int(now + lifetime_ms) or ''
local function event(field, kind, detail)
  redis.call('HSET', api_key_events_key, field, string.format(ApiKeyEvent.PACK, kind, app, caller, detail))
end
if replaced_api_key_key then
  local old = redis.call('HMGET', replaced_api_key_key, ApiKey.APP, ApiKey.SCOPES, ApiKey.EXPIRES, ApiKey.ENDS,
    ApiKey.REVOKED)
  if not old[1] or old[5] then return {} end
  for i = 3, 4 do
    if old[i] ~= '' and tonumber(old[i]) <= now then return {} end
  end
  app, scopes, expires = old[1], old[2], old[3]
  local ends = now + overlap_ms
  if old[4] == '' or tonumber(old[4]) > ends then redis.call('HSET', replaced_api_key_key, ApiKey.ENDS, int(ends)) end
  if tonumber(overlap_ms) == 0 then redis.call('HSET', replaced_api_key_key, ApiKey.REVOKED, '1') end
  event(replaced_id .. KeyEvent.REPLACED .. id, 'key.revoked', cjson.encode({key_id = replaced_id}))
end
redis.call('HSET', api_key_key, ApiKey.DIGEST, digest, ApiKey.APP, app, ApiKey.SCOPES, scopes,
  ApiKey.CREATED, int(now), ApiKey.EXPIRES, expires, ApiKey.ENDS, '')
redis.call('SADD', api_keys_key, id)
redis.call('SET', api_keys_changed_key, table.concat(redis.call('TIME'), '.'))
event(id .. KeyEvent.CREATED, 'key.created', cjson.encode({key_id = id, scopes = scopes}))
return {app, scopes, expires}
