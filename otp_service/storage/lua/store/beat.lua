#!lua
-- include: _common.lua
-- include: _runs.lua
-- A process says that it lives, and learns which run of the store this is. After a restart the first beats decide
-- whether what began before lives on.
--
-- KEYS live_processes!
-- ARGV process count new_name after_restart vote voted_in judge_ms give_up_ms recent_ms gap_ms
-- Where count: of its beats, with this one · new_name: for the store, if it has none · after_restart: as in `StoreRun` ·
--       vote: 'yes' or 'no', whether the store has all that the process knows, '' if it has not looked yet ·
--       voted_in: the run in which it looked; a vote in another one counts for nothing ·
--       judge_ms: for so long each process may vote · give_up_ms: after that the rest is not waited for ·
--       recent_ms: processes whose last beats are so near to the very last one have to vote ·
--       gap_ms: a store that was away for longer keeps nothing
-- Reply {'same', run, kept runs, name, when it changed, whether codes were kept then} ·
--       {'undecided', count of the process's last beat, run}
-- Holds what began before lives on only if every process that lived just before says yes, one at least, and none no.
--       Where the store is restarted again before that is decided, who voted the first time has to vote again.
local run, now = store_run(), clock()
local noted, kept, known_name, changed, first_seen, undecided = unpack(redis.call('HMGET', live_processes_key,
  LiveProcesses.RUN, LiveProcesses.KEPT, LiveProcesses.NAME, LiveProcesses.CHANGED, LiveProcesses.FIRST_SEEN,
  LiveProcesses.UNDECIDED))
-- Twenty runs with a comma behind each but the last.
local MOST_KEPT = 20 * (RUN_LENGTH + 1) - 1
local own_beat, own_vote = LiveProcesses.BEAT .. process, LiveProcesses.VOTE .. process

local function beat()
  redis.call('HSET', live_processes_key, LiveProcesses.RUN, run, LiveProcesses.NAME, known_name or new_name, own_beat,
    string.format(Beat.PACK, count, int(now)))
  redis.call('PEXPIRE', live_processes_key, 86400000)
  local at, were_kept = string.match(changed or '', RunChange.PARSE)
  return {'same', run, kept or '', known_name or new_name, at or '', were_kept or ''}
end

-- Two lists of runs as one. Either may be nil or empty.
local function joined(newer, older)
  if not newer or newer == '' then return older or '' end
  return newer .. (older and older ~= '' and ',' .. older or '')
end

-- Begin the new run. The processes of the last one are forgotten: who lives beats again. Who voted lives already, and
-- after a restart before its next beat it has to vote again: it may have told what the store then lacks.
local function begin_run(keeps)
  kept = keeps and string.sub(joined(joined(undecided, noted), kept), 1, MOST_KEPT) or ''
  changed = string.format(RunChange.PACK, int(now), keeps and '1' or '0')
  local found, fields = redis.call('HGETALL', live_processes_key), {}
  for i = 1, #found, 2 do fields[found[i]] = found[i + 1] end
  redis.call('DEL', live_processes_key)
  redis.call('HSET', live_processes_key, LiveProcesses.KEPT, kept, LiveProcesses.CHANGED, changed)
  for field, value in pairs(fields) do
    local voter = string.match(field, '^' .. LiveProcesses.VOTE .. '(.*)$')
    if voter and string.match(value, RunVote.PARSE) == run then
      local beats = string.match(fields[LiveProcesses.BEAT .. voter] or '', Beat.PARSE) or '0'
      redis.call('HSET', live_processes_key, LiveProcesses.BEAT .. voter, string.format(Beat.PACK, beats, int(now)))
    end
  end
  return beat()
end

-- Whether all who must have said yes; false as soon as one said no; nil as long as that is open.
local function verdict(since)
  local latest, beats, votes, voted_before = 0, {}, {}, {}
  local found = redis.call('HGETALL', live_processes_key)
  for i = 1, #found, 2 do
    local beater = string.match(found[i], '^' .. LiveProcesses.BEAT .. '(.*)$')
    local voter = string.match(found[i], '^' .. LiveProcesses.VOTE .. '(.*)$')
    if beater then
      beats[beater] = tonumber((select(2, string.match(found[i + 1], Beat.PARSE))))
      latest = math.max(latest, beats[beater])
    elseif voter then
      local of_run, said = string.match(found[i + 1], RunVote.PARSE)
      if of_run == run then votes[voter] = said else voted_before[voter] = true end
    end
  end
  if since - latest > tonumber(gap_ms) then return false end
  local all = next(beats) ~= nil
  for _, said in pairs(votes) do
    if said ~= 'yes' then return false end
  end
  for process_id, at in pairs(beats) do
    if at + recent_ms >= latest and not votes[process_id] then all = false end
  end
  for process_id in pairs(voted_before) do
    if not votes[process_id] then all = false end
  end
  if all and now - since >= tonumber(judge_ms) then return true end
  if now - since >= tonumber(give_up_ms) or now < since then return false end
end

if not noted or noted == run then return beat() end
if after_restart ~= 'keep_codes' then return begin_run(false) end
local seen_run, since = string.match(first_seen or '', RunMoment.PARSE)
if seen_run ~= run then
  if seen_run then
    undecided = joined(seen_run, undecided)
    redis.call('HSET', live_processes_key, LiveProcesses.UNDECIDED, undecided)
  end
  since = int(now)
  redis.call('HSET', live_processes_key, LiveProcesses.FIRST_SEEN, string.format(RunMoment.PACK, run, since))
end
if vote ~= '' and voted_in == run then redis.call('HSET', live_processes_key, own_vote, string.format(RunVote.PACK, run, vote)) end
local keeps = verdict(tonumber(since))
if keeps ~= nil then return begin_run(keeps) end
return {'undecided', (string.match(redis.call('HGET', live_processes_key, own_beat) or '', Beat.PARSE)) or '', run}
