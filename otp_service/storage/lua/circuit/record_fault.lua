#!lua
-- include: _common.lua
-- Count a fault of a sender. `trips_after` different numbers in a row within `window_ms` open its breaker, and so does
-- each probe that fails.
--
-- KEYS circuit!
-- ARGV trips_after window_ms first_pause_ms longest_pause_ms probe_ms reason is_probe number
-- Reply 'opened' · 'counted' · 'open': it was open when this message came back, and the message was no probe
-- Holds one number counts once, however often its message is retried; the pause doubles with every failed probe; a
--       hold that the carrier asked for is not shortened.
local now = clock()
local open_until, opens, faults, first, numbers = unpack(redis.call('HMGET', circuit_key, Breaker.UNTIL, Breaker.OPENS,
  Breaker.FAULTS, Breaker.FIRST_FAULT, Breaker.NUMBERS))
if open_until and (now < tonumber(open_until) or is_probe ~= '1') then return 'open' end

-- Count the fault of one more number. Returns whether there are enough now.
local function is_enough_with_this_one()
  faults, first, numbers = tonumber(faults or 0), tonumber(first or now), numbers or ''
  if now - first > tonumber(window_ms) then faults, first, numbers = 0, now, '' end
  if string.find(numbers, number .. ',', 1, true) then return false end
  redis.call('HSET', circuit_key, Breaker.FAULTS, faults + 1, Breaker.FIRST_FAULT, int(first), Breaker.TITLE, reason,
    Breaker.NUMBERS, numbers .. number .. ',')
  redis.call('PEXPIRE', circuit_key, window_ms)
  return faults + 1 >= tonumber(trips_after)
end

if not open_until and not is_enough_with_this_one() then return 'counted' end
opens = tonumber(opens or 0)
local pause_ms = math.min(longest_pause_ms, first_pause_ms * 2 ^ opens)
redis.call('HSET', circuit_key, Breaker.UNTIL, int(now + pause_ms), Breaker.NEXT_PROBE, int(now + pause_ms),
  Breaker.PROBE_INTERVAL, probe_ms, Breaker.OPENS, opens + 1, Breaker.CODE, 'sender_down', Breaker.TITLE, reason,
  Breaker.IS_HOLD, '0')
redis.call('HDEL', circuit_key, Breaker.NUMBERS)
redis.call('PEXPIRE', circuit_key, int(pause_ms + 10 * longest_pause_ms))
return 'opened'
