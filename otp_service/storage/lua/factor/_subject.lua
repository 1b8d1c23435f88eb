-- Shared by the scripts of a subject's factors: how long its hash is kept, and events about its factors. Needs
-- _common.lua. They declare the arguments app and sub.

-- Without an active factor the hash ends so long after its last change.
local SUBJECT_MS = 2592000000

-- Only an operator ends a row of wrong codes that has reached its ceiling.
local function is_for_ever(text, most)
  local in_a_row = string.match(text or '', TriesInARow.PARSE)
  return most and tonumber(in_a_row or 0) >= tonumber(most)
end

-- Let the hash live as long as it must. `most`: the ceiling of wrong codes, where the script knows it.
local function keep_subject(key, most)
  local active, wrong = unpack(redis.call('HMGET', key, Subject.ACTIVE, Subject.WRONG))
  if tonumber(active or 0) > 0 or is_for_ever(wrong, most) then redis.call('PERSIST', key)
  else redis.call('PEXPIRE', key, SUBJECT_MS) end
end

-- Kind and further facts of a factor; nil where this subject of this app has no such factor.
local function facts_of(key, token)
  local of_app, facts = unpack(redis.call('HMGET', key, Subject.APP, token .. Factor.FACTS))
  if of_app ~= app or not facts then return nil end
  return string.match(facts, FactorFacts.PARSE)
end

-- Take all fields of a factor out of the hash.
local function forget_factor(key, token)
  local found = redis.call('HKEYS', key)
  for i = 1, #found do
    if string.sub(found[i], 1, #token + 1) == token .. ':' then redis.call('HDEL', key, found[i]) end
  end
end

-- The event of a factor for the audit record. `more`: further members of its detail.
local function factor_event(kind, token, detail)
  detail.sub = sub
  detail.factor_id = PublicId.FACTOR .. token
  return audit_event(kind, nil, cjson.encode(detail))
end

local function record_events(audit, events)
  append_audit(audit, {app = app}, table.concat(events, AuditEvents.SEPARATOR))
end
