#!lua
-- Make a dead letter of an outbox entry that nobody can read, for a person to look at.
--
-- KEYS outbox! dead!
-- ARGV group entry most_kept
-- Reply 1 if it was moved now, 0 if another worker was faster
-- Holds what is moved is kept once, with all that stood in it; nothing is removed without being kept.
local MOST_FIELDS = 1000 -- more than Lua's stack holds cannot be passed on one by one
local found = redis.call('XRANGE', outbox_key, entry, entry)[1]
if not found then
  redis.call('XACK', outbox_key, group, entry)
  return 0
end
local fields = found[2]
if #fields > MOST_FIELDS then fields = {DeadLetter.PACKED, cmsgpack.pack(fields)} end
redis.call('XADD', dead_key, 'MAXLEN', '~', most_kept, '*', DeadLetter.ENTRY, entry, unpack(fields))
redis.call('XACK', outbox_key, group, entry)
redis.call('XDEL', outbox_key, entry)
return 1
