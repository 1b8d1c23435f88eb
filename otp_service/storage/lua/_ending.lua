-- Shared by every script that ends a verification: secrets vanish, the tombstone stays for `tombstone_ms`.
local function finish(rec, sec, timeline, timers, vid, status, now, tombstone_ms)
  redis.call('HSET', rec, Record.STATUS, status, Record.ENDED, int(now))
  redis.call('DEL', sec)
  redis.call('ZREM', timers, TimerKind.EXPIRY .. vid)
  redis.call('PEXPIRE', rec, tombstone_ms)
  redis.call('PEXPIRE', timeline, tombstone_ms)
end
