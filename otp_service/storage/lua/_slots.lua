-- Shared by the scripts that reserve slots in time. Their one key holds a time in the future, and when it was
-- written.

-- Microseconds of the store's clock.
local function micros()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- Microseconds as text without exponent.
local function whole(us)
  return string.format('%.0f', us)
end

-- The time that is reserved up to, at least now. An entry that was written in the future comes from before the clock
-- was set back: it reaches no further than it did when it was written.
local function reserved_until(key, now)
  local entry = redis.call('GET', key) or ''
  local at, made = string.match(entry, ReservedSlot.PARSE)
  at, made = tonumber(at or entry) or now, tonumber(made) or now
  if made > now then at = now + (at - made) end
  return math.max(at, now)
end

local function reserve_until(key, at, now, more_ms)
  local reserved = string.format(ReservedSlot.PACK, whole(at), whole(now))
  redis.call('SET', key, reserved, 'PX', math.ceil((at - now) / 1000) + more_ms)
end
