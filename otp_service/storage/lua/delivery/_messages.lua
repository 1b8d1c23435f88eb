-- Shared by the scripts that learn which message at the carrier a delivery has become.

-- So many messages of a number are found by their ids alone.
local MESSAGES_FOUND = 10

-- Remember it in the number's hash, as long as that lives, for reports that name nothing but the message.
local function remember_message(number, message_id, token, n)
  local ends, messages = unpack(redis.call('HMGET', number, Number.ENDS, Number.MESSAGES))
  if not ends then return end
  local count = (tonumber(messages) or 0) + 1
  redis.call('HSET', number, Number.MESSAGES, int(count), Number.MESSAGE .. (count % MESSAGES_FOUND),
    string.format(MessageEntry.PACK, string.sub(redis.sha1hex(message_id), 1, 16), token, n))
end

-- The carrier has the message: its body is not sent again.
local function forget_body(secrets, n)
  local body, names = Secrets.BODY .. n, {}
  for _, name in ipairs(redis.call('HKEYS', secrets)) do
    if name == body or string.sub(name, 1, #body + 1) == body .. ':' then names[#names + 1] = name end
  end
  if #names > 0 then redis.call('HDEL', secrets, unpack(names)) end
end
