#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: verification/_counting.lua
-- Forget what counts against a number, because a person who supports its owner says so.
--
-- KEYS number! audit! run
-- ARGV app of_app mask number_hash reason let_pass also...
-- Where app: '' for all apps · of_app: whose event it is, or '' · let_pass: the apps whose pumping guard is to let the next
--       sends pass without counting them, a list of `GuardPass` · also: names of what is taken away elsewhere
-- Reply the names of the limits that had counted something
-- Holds budget, ladder and caps are cleared together; each call is an event with its reason. Of what all apps share an
--       app clears its own part alone: it must not open what others count against the number.
local lifted = {}
local function note(limit)
  for _, name in ipairs(lifted) do
    if name == limit then return end
  end
  lifted[#lifted + 1] = limit
end

local function clear(field, limit)
  local value = redis.call('HGET', number_key, field)
  if not value then return end
  redis.call('HDEL', number_key, field)
  if value ~= '' then note(limit) end
end

-- Take entries out of a list that all apps share.
local function clear_own(field, limit, separator, is_own)
  local kept, found = {}, false
  for entry in string.gmatch(redis.call('HGET', number_key, field) or '', '[^' .. separator .. ']+') do
    if is_own(entry) then found = true else kept[#kept + 1] = entry end
  end
  if not found then return end
  redis.call('HSET', number_key, field, table.concat(kept, separator))
  note(limit)
end

-- The times of the app's own wrong codes, each as often as it is there.
local own_wrong = {}
if app ~= '' then
  local text = redis.call('HGET', number_key, Number.WRONG .. ':' .. app) or ''
  local _, _, times = string.match(text, WrongCodes.PARSE)
  for at in string.gmatch(times or '', '[^,]+') do own_wrong[at] = (own_wrong[at] or 0) + 1 end
end

local wrong, starts = Number.WRONG .. ':', Number.STARTS
for _, field in ipairs(redis.call('HKEYS', number_key)) do
  if field == wrong .. app or (app == '' and string.find(field, wrong, 1, true) == 1) then
    clear(field, 'wrong_codes_per_number')
  elseif field == starts .. app or (app == '' and string.find(field, starts, 1, true) == 1) then
    clear(field, 'starts_per_number')
  end
end
if app == '' then
  clear(Number.WRONG, 'service.wrong_codes_per_number')
  clear(Number.SENDS, 'service.sends_per_number')
else
  clear_own(Number.WRONG, 'service.wrong_codes_per_number', ',', function(at)
    own_wrong[at] = (own_wrong[at] or 0) - 1
    return own_wrong[at] >= 0
  end)
  clear_own(Number.SENDS, 'service.sends_per_number', SendList.SEPARATOR, function(entry)
    return select(2, string.match(entry, SendEntry.PARSE)) == app
  end)
end
if lifted[#lifted] == 'service.sends_per_number' then lifted[#lifted + 1] = 'resend_after' end
for _, name in ipairs(also) do note(name) end

-- A count that took nothing pays for the next sends. What an earlier count took is given back by an approval as before.
local passes = {}
for _, name, counted_ms in string.gmatch(let_pass, GuardPass.EACH) do
  local text, takes, ends = unpack(redis.call('HMGET', number_key, Number.GUARDED .. name, Number.GUARD_TAKEN .. name,
    Number.ENDS))
  local approved, counted, _, started, region, block = string.match(text or '', GuardedNumber.PARSE)
  local now = clock()
  if tonumber(counted or 0) + counted_ms <= now then takes = nil end
  write_number(number_key, {Number.GUARDED .. name, string.format(GuardedNumber.PACK, approved or 0, int(now), 0,
    started or 0, region or '', block or ''), Number.GUARD_TAKEN .. name, takes or ''}, ends, now, counted_ms + 0)
  passes[#passes + 1] = cjson.encode(name)
  note('guard')
end
local quoted = {}
for _, name in ipairs(lifted) do quoted[#quoted + 1] = cjson.encode(name) end
append_audit(audit_key, {app = of_app, mask = mask, number_hash = number_hash}, audit_event('person.lock_lifted', nil,
  '{"lifted":[' .. table.concat(quoted, ',') .. '],"reason":' .. cjson.encode(reason)
  .. (#passes > 0 and ',"guard":[' .. table.concat(passes, ',') .. ']' or '') .. '}'))
return lifted
