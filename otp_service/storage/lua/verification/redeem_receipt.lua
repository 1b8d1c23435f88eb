#!lua
-- include: _common.lua
-- Redeem the receipt of an approval.
--
-- KEYS record! audit! timeline!
-- ARGV operation token app receipt_id receipt_expires_ms
-- Reply {operation, 'redeemed', ms, mask, purpose} · {operation, 'redeemed_before', ms, mask, purpose} ·
--       {operation, 'invalid'}
-- Holds a receipt is redeemed at most once; only the receipt that this approval gave counts.
local r = redis.call('HMGET', record_key, Record.APP, Record.STATUS, Record.RECEIPT, Record.REDEEMED,
  Record.REDEEM_OPERATION, Record.MASK, Record.NUMBER_HASH, Record.PURPOSE)
if r[1] ~= app or r[2] ~= 'approved' or r[3] ~= receipt_id then return {operation, 'invalid'} end
if r[4] then return {operation, r[5] == operation and 'redeemed' or 'redeemed_before', r[4], r[6], r[8]} end
local now = clock()
if now >= tonumber(receipt_expires_ms) then return {operation, 'invalid'} end
redis.call('HSET', record_key, Record.REDEEMED, int(now), Record.REDEEM_OPERATION, operation)
record(audit_key, timeline_key, {rec = record_key, vid = token, app = app, mask = r[6], nh = r[7], op = operation},
  'receipt.redeemed', now)
return {operation, 'redeemed', int(now), r[6], r[8]}
