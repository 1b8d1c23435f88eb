#!lua
-- include: _common.lua
-- Count what the carrier reported of a scope when it met one number's message. Reported for `needed` different numbers
-- within `window_ms`, or for a probe, it opens the breaker for `hold_ms` ('0': to midnight UTC).
--
-- KEYS circuit! carrier_refusals!
-- ARGV hold_ms probe_interval_ms code title number needed window_ms is_probe
-- Reply 'opened' · 'open': it was open for this reason already, or is open for longer · 'counted': not enough yet
-- Holds one number never opens a breaker alone where it takes several; a repeat keeps the time of the next probe.
local DAY_MS = 86400000
local now = clock()
local open_until, next_probe, open_code, open_hold = unpack(redis.call('HMGET', circuit_key, Breaker.UNTIL,
  Breaker.NEXT_PROBE, Breaker.CODE, Breaker.IS_HOLD))
local is_hold = open_until and open_hold == '1'
local is_known = is_hold and open_code == code and now < tonumber(open_until)

-- Keep the newest numbers that met it, each once, as many as are needed. Returns how many there are.
local function count_numbers()
  local met = {string.format(RefusedNumber.PACK, number, int(now))}
  for _, other, at in string.gmatch(redis.call('HGET', carrier_refusals_key, code) or '', RefusedNumber.EACH) do
    if other ~= number and (tonumber(at) or 0) + window_ms > now and #met < tonumber(needed) then
      met[#met + 1] = string.format(RefusedNumber.PACK, other, at)
    end
  end
  redis.call('HSET', carrier_refusals_key, code, table.concat(met, ','))
  redis.call('PEXPIRE', carrier_refusals_key, window_ms)
  return #met
end

local function end_of_hold()
  if hold_ms ~= '0' then return now + hold_ms end
  return (math.floor(now / DAY_MS) + 1) * DAY_MS
end

if count_numbers() < tonumber(needed) and not is_known and not (is_hold and is_probe == '1') then
  -- The carrier works all the same: a row of faults ends, and a probe ends the pause that they made.
  if not open_until or (not is_hold and is_probe == '1') then redis.call('DEL', circuit_key) end
  return 'counted'
end
local ends = end_of_hold()
if is_hold and not is_known and tonumber(open_until) > ends then return 'open' end
local probe_at = is_known and math.max(tonumber(next_probe), now) or math.min(now + probe_interval_ms, ends)
redis.call('HSET', circuit_key, Breaker.UNTIL, int(ends), Breaker.NEXT_PROBE, int(probe_at), Breaker.PROBE_INTERVAL,
  probe_interval_ms, Breaker.OPENS, 1, Breaker.CODE, code, Breaker.TITLE, title, Breaker.IS_HOLD, '1')
redis.call('HDEL', circuit_key, Breaker.NUMBERS)
redis.call('PEXPIRE', circuit_key, int(ends - now + 3600000))
return is_known and 'open' or 'opened'
