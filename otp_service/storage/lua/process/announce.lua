#!lua
-- include: _common.lua
-- A process says what it is; those that have said nothing for `kept_ms` are forgotten.
--
-- KEYS processes!
-- ARGV process record kept_ms
-- Reply 1
-- Holds after a step of the store's clock, what was said before is forgotten as well.
local now = clock()
local said = redis.call('HGETALL', processes_key)
for i = 1, #said, 2 do
  local at = tonumber((string.match(said[i + 1], ProcessEntry.PARSE)))
  if not at or math.abs(now - at) > tonumber(kept_ms) then redis.call('HDEL', processes_key, said[i]) end
end
redis.call('HSET', processes_key, process, string.format(ProcessEntry.PACK, int(now), record))
redis.call('PEXPIRE', processes_key, kept_ms)
return 1
