#!lua
-- include: _runs.lua
-- How many replicas follow the server, and how many have to, before anything is written whose answer must outlive a
-- failover.
--
-- KEYS run!
-- ARGV lower_in lower_to
-- Where lower_to: so many are enough from now on, if so many follow, in the run `lower_in`; '' for no change
-- Reply {the run, how many follow, how many have to}
-- Holds as many have to as ever followed in this run, unless that is lowered on purpose, and one at least.
local run, follow = store_run(), replicas_online()
local of_run, need = string.match(redis.call('HGET', run_key, StoreRun.NEED) or '', RunReplicas.PARSE)
need = of_run == run and tonumber(need) or 0
local lowers = lower_in == run and tonumber(lower_to) == follow and follow > 0
if of_run ~= run or follow > need or lowers then
  need = follow
  redis.call('HSET', run_key, StoreRun.NEED, string.format(RunReplicas.PACK, run, need))
end
return {run, follow, need}
