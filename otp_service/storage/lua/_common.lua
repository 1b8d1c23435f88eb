-- Shared by all scripts: the store's clock, and the record of what happened.

-- Milliseconds of the store's own clock: the only clock that judges expiry.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- An integer as text without exponent.
local function int(n)
  return string.format('%.0f', n)
end

-- One event as the audit record has it. `delivery`: its ordinal, or nil. `detail`: a JSON object as text, or nil.
local function audit_event(kind, delivery, detail)
  return kind .. AuditEvent.SEPARATOR .. (delivery or '') .. AuditEvent.SEPARATOR .. (detail or '')
end

-- Append events that happened in one step to the shard's audit stream. `who` holds token, app, mask and number_hash, as
-- far as there are such; `caller` is what every script gets that calls this. `n`: which event of its verification the
-- first of them is, nil for events that are not counted there.
--
-- `who.webhook`: the webhook of the carrier that caused them (its `key`, `commitment` and `sealed` bytes). It goes with
-- the next entry alone, and its bytes wait beside the stream until the ledger has them. While very many wait, none is
-- kept.
local function append_audit(audit, who, events, n)
  local about = string.format(AuditSubject.PACK, who.token or '', who.app or '', who.mask or '', who.number_hash or '',
    n and int(n) or '', caller)
  local kept = who.webhook or {commitment = ''}
  local key = kept.key
  who.webhook = nil
  if kept.commitment == '' or redis.call('HLEN', key) >= 5000 then
    redis.call('XADD', audit, '*', AuditEntry.ABOUT, about, AuditEntry.EVENTS, events)
    return
  end
  local entry = redis.call('XADD', audit, '*', AuditEntry.ABOUT, about, AuditEntry.EVENTS, events, AuditEntry.WEBHOOK,
    kept.commitment)
  redis.call('HSET', key, entry, kept.sealed)
end

-- Add a value to what will be written to a hash, in as many pieces as it needs: a hash is kept compact as long as none
-- of its values is longer than this.
local PIECE_LENGTH = 64
local GREATEST_PIECES = 128
local function add_pieces(fields, name, value)
  for first = 1, math.max(#value, 1), PIECE_LENGTH do
    local number = (first - 1) / PIECE_LENGTH + 1
    fields[#fields + 1] = number == 1 and name or string.format(PieceName.PACK, name, int(number))
    fields[#fields + 1] = string.sub(value, first, first + PIECE_LENGTH - 1)
  end
end

-- A value that `add_pieces` has written, or nil.
local function read_pieces(key, name)
  local first = redis.call('HGET', key, name)
  if not first then return nil end
  local names, pieces = {}, {first}
  for number = 2, GREATEST_PIECES do names[number - 1] = string.format(PieceName.PACK, name, int(number)) end
  for _, piece in ipairs(redis.call('HMGET', key, unpack(names))) do
    if not piece then break end
    pieces[#pieces + 1] = piece
  end
  return table.concat(pieces)
end

-- Who an event is about, as `append_event` takes it, from the facts of a record (false if it is gone).
local function subject_of(record, token, number_hash, facts)
  local app, _, mask = string.match(facts or '', RecordFacts.PARSE)
  return {record = record, token = token, app = app, mask = mask, number_hash = number_hash}
end

-- How many deliveries a verification has, from its field `Record.SENDING`.
local function deliveries_of(sending)
  local _, deliveries = string.match(sending, Sending.PARSE)
  return tonumber(deliveries)
end

-- When a verification was started, from the facts of its record.
local function created_at(facts)
  return (select(4, string.match(facts or '', RecordFacts.PARSE)))
end

-- Add an event to what will be written to a record (`fields`: field, value, field, value ...) as its new version.
local function add_to_timeline(fields, version, kind, now, delivery, detail)
  local n = #fields
  fields[n + 1] = Record.TIMELINE .. version
  fields[n + 2] = kind .. TimelineEntry.SEPARATOR .. int(now) .. TimelineEntry.SEPARATOR .. (delivery or '')
  fields[n + 3] = Record.VERSION
  fields[n + 4] = version
  if detail then add_pieces(fields, Record.DETAIL .. version, detail) end
end

-- Append one event to the shard's audit stream and to the timeline of the verification whose record is `who.record`,
-- which then has a new version. `kept`: the detail that the timeline keeps if it is another one; what a reader knows
-- anyway (storage/record_views.py) is not kept. `fields`: what else is written to the record, whose version was `version`
-- (false if it had none).
local USUAL_DETAIL = {['delivery.sending'] = '{"try":1}', ['delivery.sent'] = '{"carrier_status":"queued"}',
  ['delivery.delivered'] = '{"carrier_status":"delivered"}'}
local function append_event(audit, who, kind, now, delivery, detail, kept, fields, version)
  kept = kept or detail
  if kept == USUAL_DETAIL[kind] then kept = nil end
  version = fields and int((tonumber(version) or 0) + 1) or redis.call('HINCRBY', who.record, Record.VERSION, 1)
  fields = fields or {}
  add_to_timeline(fields, version, kind, now, delivery, kept)
  redis.call('HSET', who.record, unpack(fields))
  append_audit(audit, who, audit_event(kind, delivery, detail), version)
end
