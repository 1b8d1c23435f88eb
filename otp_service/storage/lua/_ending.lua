-- Shared by every script that ends a verification: secrets vanish, the tombstone stays for `tombstone_ms`. `c` holds
-- the keys audit, secrets and timers; `who` as `append_event` takes it; now.

-- Write the end together with other fields of the record and the events that led to it.
local function write_ending(c, fields, status, tombstone_ms, events)
  local record = c.who.record
  redis.call('HSET', record, Record.STATUS, status, Record.ENDED, int(c.now), unpack(fields))
  redis.call('DEL', c.secrets)
  redis.call('ZREM', c.timers, TimerKind.EXPIRY .. c.who.token)
  redis.call('PEXPIRE', record, tombstone_ms)
  append_audit(c.audit, c.who, events)
end

-- End it with one event, which is named after the status: `verification.expired`. `version`: the record's, as it was
-- read; a record that lost it ends all the same.
local function end_verification(c, kind, version, tombstone_ms, delivery)
  local fields, status = {}, string.match(kind, '%.(.*)$')
  add_to_timeline(fields, (tonumber(version) or 0) + 1, kind, c.now, delivery)
  write_ending(c, fields, status, tombstone_ms, audit_event(kind, delivery))
end
