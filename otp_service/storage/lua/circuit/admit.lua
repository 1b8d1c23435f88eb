#!lua
-- include: _common.lua
-- May a message go through this breaker? If it is time for a probe, this message is it. A probe takes `probe_ms` at
-- most, a pause after faults lasts `longest_pause_ms` at most.
--
-- KEYS circuit!
-- ARGV probe_ms longest_pause_ms
-- Reply {1, 0}: it may · {1, 1}: it may, as a probe · {0, ms until the next one may, carrier's code, title, '1' if the
--       carrier asked for the pause}
-- Holds one probe at a time; a clock that is set back makes no pause longer than the longest one.
local open_until, next_probe, probe_interval, code, title, is_hold = unpack(redis.call('HMGET', circuit_key,
  Breaker.UNTIL, Breaker.NEXT_PROBE, Breaker.PROBE_INTERVAL, Breaker.CODE, Breaker.TITLE, Breaker.IS_HOLD))
if not open_until then return {1, 0} end
local now = clock()
local at = math.min(next_probe, now + math.max(probe_interval or 0, longest_pause_ms))
if now < at then return {0, at - now, code, title, is_hold} end
-- Past its end the breaker waits for a probe that comes back. Until then a lost probe is followed by the next one.
local gap = now < tonumber(open_until) and probe_interval or probe_ms
redis.call('HSET', circuit_key, Breaker.NEXT_PROBE, int(now + gap))
return {1, 1}
