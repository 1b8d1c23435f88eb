-- Shared by the scripts that accept time steps. Needs _runs.lua, _life.lua and the key `run`.

-- The first time step that may be accepted where the last one was accepted in the run `born`. A store that was put back
-- may have forgotten steps that were used: all that could be used before this run are taken as used.
local function first_step(born, period_s, now)
  if not born or is_of_living_run(born) then return 0 end
  local noted, since = unpack(redis.call('HMGET', run_key, StoreRun.RUN, StoreRun.SINCE))
  local began = noted == store_run() and tonumber(since or nil) or now
  return math.floor(began / (period_s * 1000)) + 2
end
