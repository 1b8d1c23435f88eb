-- Shared by every script that ends a verification: secrets vanish. The tombstone stays for as long after the code's end
-- as the start let it. Its timer stays too: at the code's end it leads to the closing of deliveries that are open. `c`
-- holds the keys audit and secrets; `who` as `append_event` takes it; now.

-- Write the end together with other fields of the record and the events that led to it. `n`: which event of the
-- verification the first of them is.
local function write_ending(c, fields, status, events, n)
  local record = c.who.record
  redis.call('HSET', record, Record.STATUS, status, Record.ENDED, int(c.now), unpack(fields))
  redis.call('DEL', c.secrets)
  append_audit(c.audit, c.who, events, n)
end

-- End it with one event, which is named after the status: `verification.expired`. `version`: the record's, as it was
-- read; a record that lost it ends all the same.
local function end_verification(c, kind, version, delivery)
  local fields, status = {}, string.match(kind, '%.(.*)$')
  local n = (tonumber(version) or 0) + 1
  add_to_timeline(fields, n, kind, c.now, delivery)
  write_ending(c, fields, status, audit_event(kind, delivery), n)
end
