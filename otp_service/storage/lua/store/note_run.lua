#!lua
-- include: _common.lua
-- include: _runs.lua
-- Note on a shard the store's present run, and which runs before it live on.
--
-- KEYS run! audit!
-- ARGV after_restart kept_in kept report new_name
-- Where after_restart: as in `StoreRun` · kept: the runs before `kept_in` that live on, with commas ·
--       report: '1' to put a change on record · new_name: the shard's if it has none
-- Reply {the run, the one noted before or '', the shard's name}
-- Holds nothing is kept in another run than the one about which that was decided.
local run = store_run()
local noted, since = unpack(redis.call('HMGET', run_key, StoreRun.RUN, StoreRun.SINCE))
redis.call('HSETNX', run_key, StoreRun.NAME, new_name)
local name = redis.call('HGET', run_key, StoreRun.NAME)
-- The store was restarted since: what is kept in this run is not decided.
if kept_in ~= '' and kept_in ~= run then return {run, noted or '', name} end
local keeps = kept_in == run and kept or ''
redis.call('HSET', run_key, StoreRun.RUN, run, StoreRun.AFTER_RESTART, after_restart, StoreRun.KEPT, keeps,
  StoreRun.SINCE, noted == run and since or int(clock()))
if noted and noted ~= run and report == '1' then
  append_audit(audit_key, {}, audit_event('store.restarted', nil, cjson.encode({codes = keeps ~= '' and 'kept' or 'ended'})))
end
return {run, noted or '', name}
