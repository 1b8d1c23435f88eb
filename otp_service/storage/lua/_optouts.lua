-- Shared by the scripts that write opt-outs: which numbers of the shard have one.

-- Keep the number in the index exactly while it is opted out of any profile.
local function index_optouts(optouts, index, nh, mask)
  for _, entry in ipairs(redis.call('HVALS', optouts)) do
    if string.sub(entry, 1, 1) == '1' then
      redis.call('HSET', index, nh, mask)
      return
    end
  end
  redis.call('HDEL', index, nh)
end
