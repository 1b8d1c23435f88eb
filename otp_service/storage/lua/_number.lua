-- Shared by the scripts that count a number's wrong codes and judge them. Each of them declares the arguments
-- wrong_rules, wrong_everywhere_rules and consecutive_max. Needs _limits.lua.

-- For so long wrong codes in a row are remembered after the last of them.
local IN_A_ROW_MS = 2592000000

-- Wrong codes in an app: how many in a row, when the last was, the times of all. What cannot be read is an error: a
-- budget that is forgotten would open a door.
local function read_wrong(text)
  if not text or text == '' then return 0, 0, '' end
  local in_a_row, last, times = string.match(text, WrongCodes.PARSE)
  return in_a_row + 0, last + 0, times
end

-- How long wrong codes refuse a guess, a start and a send, and which limit does so for the longest; or nil.
-- `own`: those in the app, `all`: those over all apps, as the fields hold them.
local function wrong_codes_wait(own, all, now)
  local wait, limit
  local function consider(ms, name)
    if ms and ms > (wait or 0) then wait, limit = ms, name end
  end
  local in_a_row, last, times = read_wrong(own)
  consider(limit_wait(read_times(times), wrong_rules, now), 'wrong_codes_per_number')
  consider(limit_wait(read_times(all), wrong_everywhere_rules, now), 'service.wrong_codes_per_number')
  if in_a_row >= tonumber(consecutive_max) and last + IN_A_ROW_MS > now then
    consider(math.min(IN_A_ROW_MS, last + IN_A_ROW_MS - now), 'consecutive_wrong_codes')
  end
  return wait, limit
end
