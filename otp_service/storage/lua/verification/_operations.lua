-- Shared by the script that starts verifications: what earlier operations of the same app and purpose did. Needs
-- _common.lua. A number's hash keeps it in one field for each app and purpose, see `StartOperation`.

local THE_LATEST = '='

-- What this operation did, {outcome, token}; nil if it has not run, or is remembered no longer, as is one that started
-- the latest verification where nothing says which that is.
local function find_operation(text, operation, latest, now)
  for _, until_ms, id, outcome, token in string.gmatch(text or '', StartOperation.EACH) do
    if token == THE_LATEST then token = latest end
    if id == operation and until_ms + 0 > now and token then return {outcome, token} end
  end
end

-- The field with one more operation, without those that need not be remembered. `latest` was the latest until now.
local function with_operation(text, outcome, latest, token, now)
  local kept = {string.format(StartOperation.PACK, int(now + operation_ttl_ms), operation, outcome, THE_LATEST)}
  for _, until_ms, id, its_outcome, its_token in string.gmatch(text or '', StartOperation.EACH) do
    if its_token == THE_LATEST and latest ~= token then its_token = latest end
    if until_ms + 0 > now and its_token then
      kept[#kept + 1] = string.format(StartOperation.PACK, until_ms, id, its_outcome, its_token)
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
