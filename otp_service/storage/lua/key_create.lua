#!lua
-- include: _common.lua
-- Make an API key, be it in place of another one, which then ends after an overlap.
--
-- KEYS  1 key  2 all keys  3 events to record  4 key that is replaced (left out if there is none)
-- ARGV  id · digest · app · scopes · ms until it ends or '' · id of the replaced key · ms of the overlap
-- Reply {app, scopes, ms at which it ends or ''} · {} if there is no valid key to replace
-- Holds a key and its event are written together; the store's clock says when a key ends, and an overlap never
--       prolongs one.
local id, digest, app, scopes, lifetime, old_id, overlap = unpack(ARGV)
local done = redis.call('HMGET', KEYS[1], 'digest', 'app', 'scopes', 'expires')
if done[1] then return done[1] == digest and {done[2], done[3], done[4]} or {} end
local now = clock()
local expires = lifetime ~= '' and int(now + lifetime) or ''
local function event(name, kind, of, detail)
  redis.call('HSET', KEYS[3], of .. ':' .. name, kind .. '\31' .. app .. '\31' .. detail)
end
if KEYS[4] then
  local old = redis.call('HMGET', KEYS[4], 'app', 'scopes', 'expires', 'revoked', 'gone')
  if not old[1] or old[5] then return {} end
  for i = 3, 4 do
    if old[i] ~= '' and tonumber(old[i]) <= now then return {} end
  end
  app, scopes, expires = old[1], old[2], old[3]
  local ends = now + overlap
  if old[4] == '' or tonumber(old[4]) > ends then redis.call('HSET', KEYS[4], 'revoked', int(ends)) end
  if tonumber(overlap) == 0 then redis.call('HSET', KEYS[4], 'gone', '1') end
  event('replaced:' .. id, 'key.revoked', old_id, cjson.encode({key_id = old_id}))
end
redis.call('HSET', KEYS[1], 'digest', digest, 'app', app, 'scopes', scopes, 'created', int(now), 'expires', expires,
  'revoked', '')
redis.call('SADD', KEYS[2], id)
event('created', 'key.created', id, cjson.encode({key_id = id, scopes = scopes}))
return {app, scopes, expires}
