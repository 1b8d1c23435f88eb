-- Shared by the scripts that judge limits on a number. Times are milliseconds, newest first.

-- Milliseconds that stand in a text, separated by commas, in their order. An error for any other text.
local function read_times(text)
  local times = {}
  for at in string.gmatch(text or '', '[^,]+') do times[#times + 1] = at + 0 end
  return times
end

-- Whether the times have reached one of the rules `limit:per_ms,...`. Returns the milliseconds until all rules let one
-- more through, or nil.
local function limit_wait(times, rules, now)
  if #times == 0 then return nil end
  local worst
  for _, limit, per in string.gmatch(rules, LimitRule.EACH) do
    local at = times[tonumber(limit)]
    if at and at + per > now then
      -- An entry of the future was written before the clock was set back: it counts as written now.
      worst = math.max(worst or 0, math.min(tonumber(per), at + per - now))
    end
  end
  return worst
end

-- Times of the future were written before the clock was set back. What refuses a person makes them times of now: the
-- next look would else find them in the future again, and the person would wait until the clock is there. `fields`: of
-- the number's hash, lists of times or of what begins with one.
local function leave_future(number, fields, now)
  for _, field in ipairs(fields) do
    local text = redis.call('HGET', number, field) or ''
    local left = string.gsub(text, '[^,' .. WrongCodes.SEPARATOR .. SendList.SEPARATOR .. ']+', function(part)
      local at = string.match(part, '^%d+')
      if at and at + 0 > now then return string.format('%.0f', now) .. string.sub(part, #at + 1) end
    end)
    if left ~= text then redis.call('HSET', number, field, left) end
  end
end

-- Limits that refused the number together with what a caller says of itself (an address), newest first, a few: nobody
-- could find them for the number alone when they are to be lifted. Lists of `SendSlot`.
local function with_refusing(before, refusing)
  local kept, seen = {}, {}
  for each in string.gmatch(refusing .. ',' .. (before or ''), '[^,]+') do
    if not seen[each] and #kept < 8 then kept[#kept + 1] = each end
    seen[each] = true
  end
  return table.concat(kept, ',')
end

-- The longest window of the rules and the largest limit.
local function window_and_length(rules)
  local window, length = 0, 0
  for _, limit, per in string.gmatch(rules, LimitRule.EACH) do
    window = math.max(window, tonumber(per))
    length = math.max(length, tonumber(limit))
  end
  return window, length
end
