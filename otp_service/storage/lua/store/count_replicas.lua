#!lua
-- include: _runs.lua
-- How many replicas follow the server, and how many have to, before anything is written whose answer must outlive a
-- failover.
--
-- KEYS run!
-- ARGV lower_in lower_to
-- Where lower_to: so many are enough from now on, if so many follow, in the run `lower_in`; '' for no change
-- Reply {the run, how many follow, how many have to}
-- Holds as many have to as ever followed since this server became the primary, unless that is lowered on purpose. A
--       restart of it changes nothing: who followed before may be about to take over.
local run, follow = store_run(), replicas_online()
local of_run, need = string.match(redis.call('HGET', run_key, StoreRun.NEED) or '', RunReplicas.PARSE)
need = tonumber(need) or 0
if of_run and of_run ~= run and took_over_from(of_run) then need = 0 end
local lowers = lower_in == run and tonumber(lower_to) == follow
if of_run ~= run or follow > need or lowers then
  need = lowers and follow or math.max(need, follow)
  redis.call('HSET', run_key, StoreRun.NEED, string.format(RunReplicas.PACK, run, need))
end
return {run, follow, need}
