-- Shared by the scripts that take tries of a subject's budget or give them back. They declare the arguments free_tries,
-- first_wait_ms, longest_wait_ms and most_in_a_row.

-- How many wrong codes in a row, when the last try was taken, which row it is. What cannot be read is an error: a budget
-- that is forgotten would open a door.
local function read_tries(text)
  if not text then return 0, 0, 0 end
  local in_a_row, last, generation = string.match(text, TriesInARow.PARSE)
  return in_a_row + 0, last + 0, generation + 0
end

local function pack_tries(in_a_row, last, generation)
  return string.format(TriesInARow.PACK, int(in_a_row), int(last), int(generation))
end

-- Milliseconds until the next try; nil if it may be taken now.
local function tries_wait(in_a_row, last, now)
  if in_a_row >= tonumber(most_in_a_row) then return tonumber(longest_wait_ms) end
  local over = in_a_row - free_tries
  if over < 0 then return nil end
  local wait = math.min(tonumber(longest_wait_ms), first_wait_ms * 2 ^ over)
  if last + wait <= now then return nil end
  -- A time of the future was written before the clock was set back: it counts as now.
  return math.min(wait, last + wait - now)
end

-- Tries that cost no wait.
local function tries_left(in_a_row)
  return math.max(0, free_tries - in_a_row)
end
