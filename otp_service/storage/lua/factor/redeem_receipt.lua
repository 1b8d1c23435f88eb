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
-- Holds a receipt is redeemed at most once, and only while the store remembers its approval.
local spent = redis.call('GET', factor_receipt_key)
local now = clock()
if not spent or now >= tonumber(receipt_expires_ms) then return {operation, 'invalid'} end
local born, by, at = string.match(spent, FactorReceipt.PARSE)
-- Another run of the store may have forgotten that it was redeemed, also one whose codes live on: what processes were
-- told of redeemed receipts is not compared.
if not born or born ~= store_run() then return {operation, 'invalid'} end
if by ~= '' then return {operation, by == operation and 'redeemed' or 'redeemed_before', at} end
redis.call('SET', factor_receipt_key, string.format(FactorReceipt.PACK, born, operation, int(now)), 'KEEPTTL')
record_events(audit_key, {factor_event('receipt.redeemed', token, {})})
return {operation, 'redeemed', int(now)}
