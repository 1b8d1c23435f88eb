-- Shared by the scripts that change opt-outs: which numbers of the shard have one.

-- Keep the number in the index exactly while it is opted out of any profile.
local function index_optouts(optouts, index, number_hash, mask)
  for _, entry in ipairs(redis.call('HVALS', optouts)) do
    -- The first letter alone decides: a damaged entry still counts as opted out.
    if string.sub(entry, 1, 1) == '1' then
      redis.call('HSET', index, number_hash, mask)
      return
    end
  end
  redis.call('HDEL', index, number_hash)
end
