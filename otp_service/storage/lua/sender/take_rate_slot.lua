#!lua
-- include: _slots.lua
-- Take a slot in a sender's rate: the time at which a message may go. One that comes soon is the message's now; for a
-- later one the message comes back (`again` '1'), early or late as it may be, and goes if the pace lets it.
--
-- KEYS sender_rate!
-- ARGV messages_per_s patience_ms soon_ms again
-- Reply milliseconds to wait: up to `soon_ms` it may go then, else it comes again then; negative: that many to wait,
--       which is more than `patience_ms`, and no slot is taken
-- Holds two messages of a sender go at least one interval apart, over all workers and whatever stood still meanwhile:
--       slots that passed unused are not made up for; a message that is late goes before those that come after it; a
--       clock that is set back stops no sender.
local now, interval = micros(), 1000000 / messages_per_s
local reserved, next_send, late, made = string.match(redis.call('GET', sender_rate_key) or '', SenderPace.PARSE)
made = tonumber(made) or now

-- A time as it was written, at least now. Before a clock was set back it was as far away as it was then.
local function still_ahead(at)
  at = tonumber(at) or now
  return math.max(now, made > now and now + (at - made) or at)
end

reserved, next_send, late = still_ahead(reserved), still_ahead(next_send), still_ahead(late)
local soon = now + soon_ms * 1000
local at = next_send
if again ~= '1' then
  at = math.max(reserved, next_send)
elseif next_send > soon then
  at = math.max(late, next_send)
end
local wait_ms = math.ceil((at - now) / 1000)
if wait_ms > tonumber(patience_ms) then return -wait_ms end
if at <= soon then next_send = at + interval elseif again == '1' then late = at + interval end
reserved = math.max(reserved, at + interval)
local last = math.max(reserved, late)
redis.call('SET', sender_rate_key, string.format(SenderPace.PACK, whole(reserved), whole(next_send), whole(late),
  whole(now)), 'PX', math.ceil((last - now) / 1000) + 1000)
return wait_ms
