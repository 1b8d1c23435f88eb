-- Shared by the scripts that change opt-outs: which numbers of the shard have one.

-- Keep the number in the index exactly while it is opted out of any profile.
local function index_optouts(optouts, index, number_hash, mask)
  for _, entry in ipairs(redis.call('HVALS', optouts)) do
    if string.match(entry, OptoutEntry.PARSE) == '1' then
      redis.call('HSET', index, number_hash, mask)
      return
    end
  end
  redis.call('HDEL', index, number_hash)
end
