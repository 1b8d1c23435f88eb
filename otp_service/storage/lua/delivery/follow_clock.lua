#!lua
-- include: _common.lua
-- The store's clock was set back: what is due later comes as much sooner, since it was to come after a wait. `seen_ms`:
-- the latest time that a worker has seen. Workers that see the step later find that it was followed.
--
-- KEYS timers! clock_step!
-- ARGV seen_ms same_step_ms
-- Reply how many timers come sooner
-- Holds a step is followed once; a timer that comes too early for its record is set anew by its own script.
local now = clock()
local back = seen_ms - now
if back <= 0 then return 0 end
local followed = tonumber(redis.call('GET', clock_step_key) or 0)
if followed <= now and now < followed + same_step_ms then return 0 end
redis.call('SET', clock_step_key, int(now), 'PX', same_step_ms)
local later = redis.call('ZRANGEBYSCORE', timers_key, '(' .. int(now), '+inf', 'WITHSCORES')
for i = 1, #later, 2 do
  redis.call('ZADD', timers_key, int(math.max(now, later[i + 1] - back)), later[i])
end
return #later / 2
