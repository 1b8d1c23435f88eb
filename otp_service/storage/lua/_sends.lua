-- Shared by the scripts that count sends to a number. The list `sends` holds one entry a send, newest first:
-- `SendEntry`. An approval takes app and purpose away: such a send counts for the caps, no longer for the
-- ladder.

local LADDER_MS = 3600000

local function send_entry(at, app, purpose)
  return string.format(SendEntry.PACK, int(at), app, purpose)
end

-- The ladder of one app and purpose: milliseconds of its sends within the last hour, newest first; and how many sends
-- the number had in that time altogether.
local function read_ladder(sends, app, purpose, now)
  local own, all, suffix = {}, 0, SendEntry.SEPARATOR .. app .. SendEntry.SEPARATOR .. purpose
  local page = 64
  for first = 0, 1000000, page do
    local entries = redis.call('LRANGE', sends, first, first + page - 1)
    for _, entry in ipairs(entries) do
      local at = string.match(entry, '^%d+')
      if at + LADDER_MS <= now then return own, all end
      all = all + 1
      if string.sub(entry, #at + 1) == suffix then own[#own + 1] = tonumber(at) end
    end
    if #entries < page then return own, all end
  end
  return own, all
end

-- The first moment at which the ladder lets a send through. The wait after the last send grows with the number of
-- sends within an hour; the last wait repeats; a send that becomes an hour old counts no longer.
local function ladder_opens(own, waits, now)
  local count, at = #own, now
  while count > 0 and own[count] + LADDER_MS <= at do count = count - 1 end
  while count > 0 and #waits > 0 do
    local free, older = own[1] + waits[math.min(count, #waits)], own[count] + LADDER_MS
    if free <= at then return at end
    at = math.min(free, older)
    if older <= at then count = count - 1 end
  end
  return at
end

-- After an approval the next send to this app and purpose waits for none of the earlier ones.
local function reset_ladder(sends, app, purpose)
  local suffix = SendEntry.SEPARATOR .. app .. SendEntry.SEPARATOR .. purpose
  for i, entry in ipairs(redis.call('LRANGE', sends, 0, -1)) do
    local at = string.match(entry, '^%d+')
    if string.sub(entry, #at + 1) == suffix then
      redis.call('LSET', sends, i - 1, string.format(SendEntry.PACK, at, '', ''))
    end
  end
end
