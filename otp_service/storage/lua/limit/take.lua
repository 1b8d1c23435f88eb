#!lua
-- Take one slot of a limit, look whether one is free, give one back, count those that are taken, or forget them.
--
-- KEYS limit!
-- ARGV action events window_ms at_ms
-- Where action: 'take', 'look', 'give_back', 'count' or 'forget' · events: slots in any window of `window_ms` · at_ms: what was replied when
--       the slot was taken that is given back, else ''
-- Reply {milliseconds until a slot is free, ms}: 0 if one was taken (is free, was given back), and when it was taken ·
--       'count' and 'forget': {how many slots are taken, ''}
-- Holds never more than `events` are taken in any window, whatever is given back. Of a limit with many slots those that
--       were taken shortly one after the other are kept as one, all as old as the youngest. A clock that is set back
--       refuses nobody for longer than the window.
local EXACT, GROUPS = 128, 64
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
events, window_ms = tonumber(events), tonumber(window_ms)
local step = events > EXACT and math.ceil(window_ms / GROUPS) or 1
local groups, taken, clock_stepped = {}, 0, false
for _, at, count in string.gmatch(redis.call('GET', limit_key) or '', SlotGroup.EACH) do
  at, count = tonumber(at), tonumber(count)
  if at > now then at, clock_stepped = now, true end
  if at + window_ms > now then
    groups[#groups + 1] = {at = at, count = count}
    taken = taken + count
  end
end

local function is_together(one, other)
  return math.floor(one / step) == math.floor(other / step)
end

local function write()
  if #groups == 0 then
    redis.call('DEL', limit_key)
    return
  end
  local packed = {}
  for i, group in ipairs(groups) do
    packed[i] = string.format(SlotGroup.PACK, string.format('%.0f', group.at), group.count)
  end
  redis.call('SET', limit_key, table.concat(packed, ','), 'PX', groups[1].at + window_ms - now)
end

if action == 'forget' then redis.call('DEL', limit_key) end
if action == 'count' or action == 'forget' then return {taken, ''} end
if action == 'give_back' then
  for i, group in ipairs(groups) do
    if at_ms ~= '' and is_together(group.at, at_ms) then
      group.count = group.count - 1
      if group.count == 0 then table.remove(groups, i) end
      write()
      break
    end
  end
  return {0, ''}
end
if taken >= events then
  local left, oldest = taken, #groups
  while left - groups[oldest].count >= events do
    left = left - groups[oldest].count
    oldest = oldest - 1
  end
  -- What was written before the clock was set back becomes older from now on.
  if clock_stepped and action == 'take' then write() end
  return {groups[oldest].at + window_ms - now, ''}
end
if action == 'look' then return {0, ''} end
if groups[1] and is_together(groups[1].at, now) then
  groups[1].at, groups[1].count = now, groups[1].count + 1
else
  table.insert(groups, 1, {at = now, count = 1})
end
write()
return {0, string.format('%.0f', now)}
