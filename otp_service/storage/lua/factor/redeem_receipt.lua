#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: factor/_subject.lua
-- Redeem the receipt of an approval by a factor.
--
-- KEYS factor_receipt! audit! run
-- ARGV operation app sub token receipt_expires_ms
-- Reply {operation, 'redeemed', ms} · {operation, 'redeemed_before', ms} · {operation, 'invalid'}
-- Holds a receipt is redeemed at most once, and only while the store remembers its approval. A
--       repeat of the operation that redeemed it gets the first reply.
local spent = redis.call('GET', factor_receipt_key)
local now = clock()
local born, by, at = string.match(spent or '', FactorReceipt.PARSE)
-- Who redeemed it and was not told is told so, whatever became of the store since.
if born and by == operation then return {operation, 'redeemed', at} end
if not spent or now >= tonumber(receipt_expires_ms) then return {operation, 'invalid'} end
-- Another run of the store may have forgotten that it was redeemed, also one whose codes live on: what processes were
-- told of redeemed receipts is not compared.
if not born or born ~= store_run() then return {operation, 'invalid'} end
if by ~= '' then return {operation, 'redeemed_before', at} end
redis.call('SET', factor_receipt_key, string.format(FactorReceipt.PACK, born, operation, int(now)), 'KEEPTTL')
record_events(audit_key, {factor_event('receipt.redeemed', token, {})})
return {operation, 'redeemed', int(now)}
