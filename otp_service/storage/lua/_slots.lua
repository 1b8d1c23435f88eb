-- Shared by the scripts that reserve slots in time.

-- Microseconds of the store's clock.
local function micros()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- Microseconds as text without exponent.
local function whole(us)
  return string.format('%.0f', us)
end
