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
