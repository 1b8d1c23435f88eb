-- Shared by all scripts: the store's clock, and the record of what happened.

-- Milliseconds of the store's own clock: the only clock that judges expiry.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- An integer as text without exponent.
local function int(n)
  return string.format('%.0f', n)
end

-- Whether a list of newest-first milliseconds has reached one of the rules (`LimitRule`). What stands in an entry
-- after the milliseconds is left aside. Returns the milliseconds until all rules let one more through, or nil.
local function limit_wait(list, rules, now)
  local worst
  for _, limit, per in string.gmatch(rules, LimitRule.EACH) do
    local entry = redis.call('LINDEX', list, limit - 1)
    local at = entry and string.match(entry, '^%d+')
    if at and at + per > now then
      -- An entry of the future was written before the clock was set back: it counts as written now.
      worst = math.max(worst or 0, math.min(tonumber(per), at + per - now))
    end
  end
  return worst
end

-- Whether a code's life is over. No field alone prolongs it: it ends the greatest life after its beginning at the
-- latest, and before its beginning only a clock that was set back can stand, nobody knows how far.
local GREATEST_LIFE_MS = 600000
local CLOCK_PLAY_MS = 5000
local function has_expired(now, expires, created)
  return now >= tonumber(expires) or now >= created + GREATEST_LIFE_MS or now + CLOCK_PLAY_MS < tonumber(created)
end

-- The longest window of the rules, for the list's TTL, and the largest limit, for its length.
local function window_and_length(rules)
  local window, length = 0, 0
  for _, limit, per in string.gmatch(rules, LimitRule.EACH) do
    window = math.max(window, tonumber(per))
    length = math.max(length, tonumber(limit))
  end
  return window, length
end

-- Append one event to the shard's audit stream and, if there is one, to the verification's timeline, whose record
-- `who.record` then has a new version.
-- `who` holds the record's key, token, app, mask, number_hash and operation; `detail` is a JSON object as text.
local function append_event(audit, timeline, who, kind, now, delivery, detail)
  redis.call('XADD', audit, '*', Event.TYPE, kind, Event.VERIFICATION, who.token, Event.APP, who.app,
    Event.MASK, who.mask, Event.NUMBER_HASH, who.number_hash, Event.DELIVERY, delivery or '',
    Event.OPERATION, who.operation or '', Event.DETAIL, detail or '{}')
  if timeline then
    redis.call('RPUSH', timeline, kind .. TimelineEntry.SEPARATOR .. int(now) .. TimelineEntry.SEPARATOR
      .. (delivery or '') .. TimelineEntry.SEPARATOR .. (detail or '{}'))
    redis.call('HINCRBY', who.record, Record.VERSION, 1)
  end
end
