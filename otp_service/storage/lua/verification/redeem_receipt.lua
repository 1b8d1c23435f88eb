#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- Redeem the receipt of an approval.
--
-- KEYS record! audit! run
-- ARGV operation token number_hash app receipt_id receipt_expires_ms
-- Reply {operation, 'redeemed', ms, mask, purpose} · {operation, 'redeemed_before', ms, mask, purpose} ·
--       {operation, 'invalid'}
-- Holds a receipt is redeemed at most once; only the receipt that this approval gave counts. A repeat of
--       the operation that redeemed it gets the first reply.
local facts, status, given, redeemed, redeemed_by, born = unpack(redis.call('HMGET', record_key, Record.FACTS,
  Record.STATUS, Record.RECEIPT, Record.REDEEMED, Record.REDEEM_OPERATION, Record.RUN))
local of_app, purpose, mask = string.match(facts or '', RecordFacts.PARSE)
if of_app ~= app or status ~= 'approved' or given ~= receipt_id then return {operation, 'invalid'} end
-- Who redeemed it and was not told is told so, whatever became of the store since.
if redeemed and redeemed_by == operation then return {operation, 'redeemed', redeemed, mask, purpose} end
-- Another run of the store may have forgotten that it was redeemed.
if not is_of_living_run(born) then return {operation, 'invalid'} end
if redeemed then return {operation, 'redeemed_before', redeemed, mask, purpose} end
local now = clock()
if now >= tonumber(receipt_expires_ms) then return {operation, 'invalid'} end
redis.call('HSET', record_key, Record.REDEEMED, int(now), Record.REDEEM_OPERATION, operation)
append_event(audit_key, subject_of(record_key, token, number_hash, facts), 'receipt.redeemed', now)
return {operation, 'redeemed', int(now), mask, purpose}
