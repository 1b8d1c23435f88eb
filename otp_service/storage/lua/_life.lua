-- Shared by the scripts that ask whether what began before is still alive. Needs _runs.lua and the key `run`.

-- Whether what began in this run of the store can still be trusted: a store that was restarted from an older file may
-- have forgotten that a code was used. An error as long as that is not known.
local function is_of_living_run(born)
  local run = store_run()
  if born == run then return true end
  -- It began while nobody could say in which run.
  if not born or born == '' then return false end
  local noted, after_restart, kept = unpack(redis.call('HMGET', run_key, StoreRun.RUN, StoreRun.AFTER_RESTART,
    StoreRun.KEPT))
  if noted == run then return string.find(',' .. (kept or '') .. ',', ',' .. born .. ',', 1, true) ~= nil end
  if after_restart == 'keep_codes' then error('UNDECIDED whether the store has all of its last run', 0) end
  return false
end

-- Whether a code's life is over. No field alone prolongs it: it ends the greatest life after its beginning at the
-- latest, and before its beginning only a clock that was set back can stand, nobody knows how far. `created`: when it
-- began, or nil. `born`: the run in which it began.
local GREATEST_LIFE_MS = 600000
local CLOCK_PLAY_MS = 5000
local function has_expired(now, expires, created, born)
  created = tonumber(created) or now
  return now >= tonumber(expires) or now >= created + GREATEST_LIFE_MS or now + CLOCK_PLAY_MS < created
    or not is_of_living_run(born)
end
