#!lua
-- Reserve an Idempotency-Key for the request that runs under it, or find what became of an earlier one.
--
-- KEYS  1 idempotency record
-- ARGV  fingerprint of the request · owner · lease ms
-- Reply {'reserved'} · {'running'} · {'conflict'} · {'replay', status, body}
-- Holds one request runs under a key at a time; a crashed one's place is free after the lease.
local r = redis.call('HMGET', KEYS[1], 'fingerprint', 'status', 'body', 'owner')
if not r[1] then
  if ARGV[2] == '' then return {'free'} end
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'owner', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'reserved'}
end
if r[1] ~= ARGV[1] then return {'conflict'} end
if r[2] then return {'replay', r[2], r[3]} end
if r[4] == ARGV[2] then return {'reserved'} end
return {'running'}
