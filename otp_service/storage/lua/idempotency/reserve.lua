#!lua
-- Reserve an Idempotency-Key for the request that runs under it, or find what became of an earlier one.
--
-- KEYS idempotency!
-- ARGV fingerprint owner lease_ms
-- Where owner '': only look
-- Reply {'reserved'} · {'running'} · {'conflict'} · {'replay', status, body} · {'free'}
-- Holds one request runs under a key at a time; the key of a crashed one is free after the lease.
local r = redis.call('HMGET', idempotency_key, IdempotencyKey.FINGERPRINT, IdempotencyKey.STATUS, IdempotencyKey.BODY,
  IdempotencyKey.OWNER)
if not r[1] then
  if owner == '' then return {'free'} end
  redis.call('HSET', idempotency_key, IdempotencyKey.FINGERPRINT, fingerprint, IdempotencyKey.OWNER, owner)
  redis.call('PEXPIRE', idempotency_key, lease_ms)
  return {'reserved'}
end
if r[1] ~= fingerprint then return {'conflict'} end
if r[2] then return {'replay', r[2], r[3]} end
if r[4] == owner then return {'reserved'} end
return {'running'}
