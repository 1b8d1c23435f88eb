-- The first thing in a script whose answer must outlive a failover. Needs _runs.lua and the key `run`. `replicas`: for
-- how many the caller will wait, '' where none are expected. Nothing is written unless as many follow as ever followed
-- in this run: one that is missing may be about to take over, without what is written now.
if replicas ~= '' then
  local of_run, need = string.match(redis.call('HGET', run_key, StoreRun.NEED) or '', RunReplicas.PARSE)
  local follow = replicas_online()
  if of_run ~= store_run() or follow ~= tonumber(need) or follow ~= tonumber(replicas) then
    return redis.error_reply('NOREPLICAS another number of replicas follows the server')
  end
end
