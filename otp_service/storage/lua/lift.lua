#!lua
-- include: _common.lua
-- include: _optouts.lua
-- Take an opt-out away because the carrier's full list does not hold it any more.
--
-- KEYS  1 optouts  2 audit  3 index of opted-out numbers
-- ARGV  profile · the entry as it was read before the list · mask · number hash
-- Reply 1, or 0 if the entry has changed since: then nothing changes
-- Holds a wish that came while the list was read is never lost. The entry is forgotten rather than turned into an
--       opt-in, so that the list can bring it back with its old time.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
index_optouts(KEYS[1], KEYS[3], ARGV[4], ARGV[3])
record(KEYS[2], nil, {vid = '', app = '', mask = ARGV[3], nh = ARGV[4]}, 'optout.removed', clock(), nil,
  cjson.encode({messaging_profile_id = ARGV[1], source = 'list'}))
return 1
