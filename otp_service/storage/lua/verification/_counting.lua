-- Shared by the scripts that change what a number's hash remembers and so when it ends. Needs _common.lua.

-- The end of a number's hash is moved by more than is needed, so that it need not be moved each time.
local SLACK_MS = 3600000

local function read_ends(text)
  local key_ends, needed = string.match(text or '', HashEnd.PARSE)
  key_ends = tonumber(key_ends or text) or 0
  return key_ends, tonumber(needed) or (needed and 0 or key_ends)
end

local function pack_ends(key_ends, needed)
  return key_ends == needed and int(needed) or string.format(HashEnd.PACK, int(key_ends), int(needed))
end

-- Write fields of the hash, and let it live for `needed_ms`, and for `in_a_row_ms` where wrong codes in a row are to be
-- remembered. `ends`: its field `ends` as it was read. Returns whether the end was moved.
local function write_number(number, fields, ends, now, needed_ms, in_a_row_ms)
  local key_ends, needed = read_ends(ends)
  local until_ms = now + math.max(needed_ms, in_a_row_ms or 0)
  local moves = key_ends < until_ms or needed < now + needed_ms
  if moves then
    needed = math.max(needed, now + needed_ms + SLACK_MS)
    key_ends = math.max(key_ends, until_ms + SLACK_MS)
    fields[#fields + 1] = Number.ENDS
    fields[#fields + 1] = pack_ends(key_ends, needed)
  end
  if #fields > 0 then redis.call('HSET', number, unpack(fields)) end
  if moves then redis.call('PEXPIREAT', number, int(key_ends)) end
  return moves
end

-- The text of these times without those at its end that are `kept_ms` old.
local function without_old_times(text, times, kept_ms, now)
  local count = #times
  while count > 0 and times[count] + kept_ms <= now do count = count - 1 end
  if count == #times then return text or '' end
  local kept = {}
  for i = 1, count do kept[i] = int(times[i]) end
  return table.concat(kept, ',')
end

-- The times with now before them, at most so many.
local function with_now(times, now, most)
  local text = times == '' and int(now) or int(now) .. ',' .. times
  local count, cut = 0, 0
  for position in string.gmatch(text, '(),') do
    count = count + 1
    if count == most then cut = position break end
  end
  return cut > 0 and string.sub(text, 1, cut - 1) or text
end
