-- Shared by the script that starts verifications: what earlier operations of the same app and purpose did. Needs
-- _common.lua. A number's hash keeps it in one field for each app and purpose, see `StartOperation`.

local THE_LATEST, CREATED = '=', 'created'
local EACH_OPERATION = '[^,]+'

-- Time, id, outcome and token of an entry, see `StartOperation`.
local function read_operation(entry)
  local until_ms, id, outcome, token = string.match(entry, StartOperation.PARSE)
  if until_ms then return until_ms, id, outcome, token end
  until_ms, id = string.match(entry, ShortOperation.PARSE)
  return until_ms, id, CREATED, THE_LATEST
end

local function pack_operation(until_ms, id, outcome, token)
  if outcome == CREATED and token == THE_LATEST then return string.format(ShortOperation.PACK, until_ms, id) end
  return string.format(StartOperation.PACK, until_ms, id, outcome, token)
end

-- What this operation did, {outcome, token}; nil if it has not run, or is remembered no longer, as is one that started
-- the latest verification where nothing says which that is.
local function find_operation(text, operation, latest, now)
  for entry in string.gmatch(text or '', EACH_OPERATION) do
    local until_ms, id, outcome, token = read_operation(entry)
    if token == THE_LATEST then token = latest end
    if id == operation and until_ms + 0 > now and token then return {outcome, token} end
  end
end

-- The field with one more operation, without those that need not be remembered. `latest` was the latest until now.
local function with_operation(text, outcome, latest, token, now)
  local kept = {pack_operation(int(now + operation_ttl_ms), operation, outcome, THE_LATEST)}
  for entry in string.gmatch(text or '', EACH_OPERATION) do
    local until_ms, id, its_outcome, its_token = read_operation(entry)
    if its_token == THE_LATEST and latest ~= token then its_token = latest end
    if until_ms + 0 > now and its_token then
      kept[#kept + 1] = pack_operation(until_ms, id, its_outcome, its_token)
    end
  end
  return table.concat(kept, ',')
end

-- Take out what the hash holds of apps and purposes whose latest verification is forgotten: a number that is sent to
-- each day would else keep them for ever.
local function forget_old_slots(number, now)
  local found = redis.call('HGETALL', number)
  for i = 1, #found, 2 do
    local slot = string.match(found[i], '^' .. Number.LATEST .. '(.*)$')
    local _, expires = string.match(found[i + 1], LatestEntry.PARSE)
    if slot and expires and expires + tombstone_ms <= now then
      redis.call('HDEL', number, Number.LATEST .. slot, Number.OPERATIONS .. slot)
    end
  end
end
