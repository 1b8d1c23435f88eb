#!lua
-- include: _common.lua
-- Put a value that another key sealed in place of a sealed value, if that is still there as it was read.
--
-- KEYS sealed_idempotency!
-- ARGV field before after
-- Reply 1, or 0 if the value has changed or has gone: then nothing changes
-- Holds the key keeps its end, and what has gone does not come back. Any key of a hash with sealed values will do, see
--       the dictionary's list of them.
local key = sealed_idempotency_key
local parts, names = {}, {}
local name = field
repeat
  local part = redis.call('HGET', key, name)
  if part then
    parts[#parts + 1] = part
    names[#names + 1] = name
    name = string.format(PieceName.PACK, field, int(#parts + 1))
  end
until not part
local found = table.concat(parts)
if #parts == 0 then return 0 end
if found == after then return 1 end
if found ~= before then return 0 end
local fields = {}
if #parts > 1 or #found <= PIECE_LENGTH then add_pieces(fields, field, after) else fields = {field, after} end
if #names > 1 then redis.call('HDEL', key, unpack(names, 2)) end
redis.call('HSET', key, unpack(fields))
return 1
