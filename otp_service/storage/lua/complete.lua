#!lua
-- Store the answer of the request that runs under an Idempotency-Key, or free the key.
--
-- KEYS  1 idempotency record
-- ARGV  owner · status ('' to free the key) · body · ttl ms
-- Reply 1 if the owner still held the key, else 0
-- Holds only the owner writes; an answer once stored is not replaced.
local r = redis.call('HMGET', KEYS[1], 'owner', 'status')
if r[1] ~= ARGV[1] or r[2] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'status', ARGV[2], 'body', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
