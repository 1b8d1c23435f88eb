-- Shared by the scripts that must know which run of the store this is: another one after each restart, failover, or
-- return to an older file.

local RUN_LENGTH = 12
local replication_info

-- What the server says of its replication; '' if the user of the store may not ask.
local function replication()
  if not replication_info then
    local info = redis.pcall('INFO', 'replication')
    replication_info = type(info) == 'string' and info or ''
  end
  return replication_info
end

-- The store's run. '' if the user may not ask: then all runs are one.
local function store_run()
  return string.sub(string.match(replication(), 'master_replid:(%x+)') or '', 1, RUN_LENGTH)
end

-- Whether this server was a replica in that run and took its primary's place. A primary that was restarted was not.
local function took_over_from(run)
  local before = string.match(replication(), 'master_replid2:(%x+)') or ''
  return run ~= '' and string.sub(before, 1, RUN_LENGTH) == run
end

-- How many replicas follow the server and have said so lately.
local GREATEST_LAG_S = 3
local function replicas_online()
  local count = 0
  for lag in string.gmatch(replication(), 'state=online,offset=%d+,lag=(-?%d+)') do
    if tonumber(lag) <= GREATEST_LAG_S then count = count + 1 end
  end
  return count
end
