#!lua
-- Forget that the other numbers of a subject are still to be told of the one that this verification bound.
--
-- KEYS subject!
-- ARGV verification
-- Where verification: the token of its id
-- Reply 1
-- Holds a second run changes nothing, and another verification's stays.
if redis.call('HGET', subject_key, Subject.UNTOLD) == verification then
  redis.call('HDEL', subject_key, Subject.UNTOLD)
end
return 1
