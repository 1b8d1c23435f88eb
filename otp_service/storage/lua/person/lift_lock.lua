#!lua
-- include: _common.lua
-- Forget what counts against a number, because a person who supports its owner says so.
--
-- KEYS number! audit!
-- ARGV app of_app mask number_hash reason
-- Where app: '' for all apps · of_app: whose event it is, or ''
-- Reply the names of the limits that had counted something
-- Holds budget, ladder and caps are cleared together; each call is an event with its reason.
local lifted = {}
local function clear(field, limit)
  local value = redis.call('HGET', number_key, field)
  if not value then return end
  redis.call('HDEL', number_key, field)
  if value == '' then return end
  for _, name in ipairs(lifted) do
    if name == limit then return end
  end
  lifted[#lifted + 1] = limit
end

local wrong, starts = Number.WRONG .. ':', Number.STARTS
for _, field in ipairs(redis.call('HKEYS', number_key)) do
  if field == wrong .. app or (app == '' and string.find(field, wrong, 1, true) == 1) then
    clear(field, 'wrong_codes_per_number')
  elseif field == starts .. app or (app == '' and string.find(field, starts, 1, true) == 1) then
    clear(field, 'starts_per_number')
  end
end
clear(Number.WRONG, 'service.wrong_codes_per_number')
clear(Number.SENDS, 'service.sends_per_number')
if lifted[#lifted] == 'service.sends_per_number' then lifted[#lifted + 1] = 'resend_after' end
local quoted = {}
for _, name in ipairs(lifted) do quoted[#quoted + 1] = cjson.encode(name) end
append_audit(audit_key, {app = of_app, mask = mask, number_hash = number_hash}, audit_event('person.lock_lifted', nil,
  '{"lifted":[' .. table.concat(quoted, ',') .. '],"reason":' .. cjson.encode(reason) .. '}'))
return lifted
