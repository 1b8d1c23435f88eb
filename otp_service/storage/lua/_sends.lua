-- Shared by the scripts that count sends to a number. The field `sends` of the number's hash holds one `SendEntry` a
-- send, newest first. An approval takes app and purpose away: such a send counts in the longest window of the caps
-- alone, no longer in the shorter ones, nor for the ladder. The end of its code by a restart or a failover of the store
-- takes the purpose away: it counts in all caps, and for no ladder.

local LADDER_MS = 3600000
local EACH_SEND = '[^' .. SendList.SEPARATOR .. ']+'

local function send_entry(at, app, purpose)
  return string.format(SendEntry.PACK, int(at), app, purpose)
end

-- The sends that the field holds: their entries and times, the times of those without an approval after them (`open`),
-- the times of the ladder of one app and purpose (those within the last hour), and how many sends the number had in that
-- time altogether.
local function read_sends(text, app, purpose, now)
  local sends = {entries = {}, times = {}, open = {}, own = {}, hourly = 0}
  local approved = SendEntry.SEPARATOR .. SendEntry.SEPARATOR
  local suffix = SendEntry.SEPARATOR .. app .. SendEntry.SEPARATOR .. purpose
  local in_hour = true
  for entry in string.gmatch(text or '', EACH_SEND) do
    local at = string.match(entry, '^%d+')
    sends.entries[#sends.entries + 1] = entry
    sends.times[#sends.times + 1] = at + 0
    if string.sub(entry, #at + 1) ~= approved then sends.open[#sends.open + 1] = at + 0 end
    in_hour = in_hour and at + LADDER_MS > now
    if in_hour then
      sends.hourly = sends.hourly + 1
      if string.sub(entry, #at + 1) == suffix then sends.own[#sends.own + 1] = at + 0 end
    end
  end
  return sends
end

-- Milliseconds until the caps let one more send through, or nil. Whoever is approved holds the phone, and bombs nobody:
-- what an approval followed counts in the longest window only, which bounds what one phone can cost.
local function caps_wait(sends, rules, now)
  local longest = window_and_length(rules)
  local worst
  for rule, _, per in string.gmatch(rules, LimitRule.EACH) do
    local wait = limit_wait(tonumber(per) == longest and sends.times or sends.open, rule, now)
    if wait then worst = math.max(worst or 0, wait) end
  end
  return worst
end

-- Take the sends since `since` out of the ladder: the store has ended their code, and the person asks for another one at
-- once. They count in the caps as before.
local function give_back(sends, app, purpose, since)
  while sends.own[1] and sends.own[1] >= since do
    local at = table.remove(sends.own, 1)
    local entry = send_entry(at, app, purpose)
    for i, each in ipairs(sends.entries) do
      if each == entry then
        sends.entries[i] = send_entry(at, app, '')
        break
      end
    end
  end
end

-- The field with one more send, with at most so many, and without those that are `kept_ms` old.
local function with_send(sends, entry, most, kept_ms, now)
  local kept = {entry}
  for i = 1, math.min(#sends.entries, most - 1) do
    if sends.times[i] + kept_ms > now then kept[#kept + 1] = sends.entries[i] end
  end
  return table.concat(kept, SendList.SEPARATOR)
end

-- The first moment at which the ladder lets a send through. The wait after the last send grows with the number of
-- sends within an hour; the last wait repeats; a send that becomes an hour old counts no longer. One of the future
-- counts as one of now.
local function ladder_opens(own, waits, now)
  local count, at = #own, now
  local function drop_old()
    while count > 0 and math.min(own[count], now) + LADDER_MS <= at do count = count - 1 end
  end
  drop_old()
  while count > 0 and #waits > 0 do
    local free = math.min(own[1], now) + waits[math.min(count, #waits)]
    if free <= at then return at end
    at = math.min(free, math.min(own[count], now) + LADDER_MS)
    drop_old()
  end
  return at
end

-- The field as it is after an approval: the next send to this app and purpose waits for none of the earlier ones.
local function without_ladder(text, app, purpose)
  local suffix = SendEntry.SEPARATOR .. app .. SendEntry.SEPARATOR .. purpose
  return (string.gsub(text or '', EACH_SEND, function(entry)
    local at = string.match(entry, '^%d+')
    if string.sub(entry, #at + 1) == suffix then return string.format(SendEntry.PACK, at, '', '') end
  end))
end

-- The field without one send of this entry; nil if there is none.
local function without_send(text, entry)
  local kept, found = {}, false
  for each in string.gmatch(text or '', EACH_SEND) do
    if each == entry and not found then found = true else kept[#kept + 1] = each end
  end
  return found and table.concat(kept, SendList.SEPARATOR) or nil
end
