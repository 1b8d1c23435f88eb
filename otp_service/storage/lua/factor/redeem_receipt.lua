#!lua
-- include: _common.lua
-- include: _runs.lua
-- include: _guard.lua
-- include: _life.lua
-- include: factor/_subject.lua
-- Redeem the receipt of an approval by a factor.
--
-- KEYS factor_receipt! audit! run
-- ARGV operation app sub token receipt_expires_ms
-- Reply {operation, 'redeemed', ms} · {operation, 'redeemed_before', ms} · {operation, 'invalid'}
-- Holds a receipt is redeemed at most once, and only while the store remembers its approval.
local spent = redis.call('GET', factor_receipt_key)
local now = clock()
-- It may have been spent just before a restart.
local LIFE_MS = 120000
local is_known = receipt_expires_ms - LIFE_MS >= known_since()
if not spent or not is_known or now >= tonumber(receipt_expires_ms) then return {operation, 'invalid'} end
local by, at = string.match(spent, SpentReceipt.PARSE)
if by then return {operation, by == operation and 'redeemed' or 'redeemed_before', at} end
redis.call('SET', factor_receipt_key, string.format(SpentReceipt.PACK, operation, int(now)), 'KEEPTTL')
record_events(audit_key, {factor_event('receipt.redeemed', token, {})})
return {operation, 'redeemed', int(now)}
