-- Shared by every script that ends a verification: secrets vanish, the tombstone stays for `tombstone_ms`.
local function end_verification(record, secrets, timeline, timers, token, status, now, tombstone_ms)
  redis.call('HSET', record, Record.STATUS, status, Record.ENDED, int(now))
  redis.call('DEL', secrets)
  redis.call('ZREM', timers, TimerKind.EXPIRY .. token)
  redis.call('PEXPIRE', record, tombstone_ms)
  redis.call('PEXPIRE', timeline, tombstone_ms)
end
