#!lua
-- Store the response of the request that runs under an Idempotency-Key, or free the key.
--
-- KEYS idempotency!
-- ARGV owner status body kept_ms
-- Where status '': free the key
-- Reply 1 if the owner still held the key, else 0
-- Holds only the owner writes; a response once stored is not replaced.
local r = redis.call('HMGET', idempotency_key, IdempotencyKey.OWNER, IdempotencyKey.STATUS)
if r[1] ~= owner or r[2] then return 0 end
if status == '' then
  redis.call('DEL', idempotency_key)
else
  redis.call('HSET', idempotency_key, IdempotencyKey.STATUS, status, IdempotencyKey.BODY, body)
  redis.call('PEXPIRE', idempotency_key, kept_ms)
end
return 1
