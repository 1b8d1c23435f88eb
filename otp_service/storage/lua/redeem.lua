#!lua
-- include: _common.lua
-- Spend a receipt.
--
-- KEYS  1 record  2 audit  3 timeline
-- ARGV  op id · id's body · app · receipt id · ms at which the receipt ends
-- Reply {op, 'redeemed', ms, mask, purpose} · {op, 'spent', ms, mask, purpose} · {op, 'invalid'}
-- Holds a receipt is spent at most once; only the receipt that this approval gave counts.
local op, body, app, receipt, ends = unpack(ARGV)
local r = redis.call('HMGET', KEYS[1], 'app', 'status', 'receipt', 'redeemed', 'redeem_op', 'mask', 'nh', 'purpose')
if r[1] ~= app or r[2] ~= 'approved' or r[3] ~= receipt then return {op, 'invalid'} end
if r[4] then return {op, r[5] == op and 'redeemed' or 'spent', r[4], r[6], r[8]} end
local now = clock()
if now >= tonumber(ends) then return {op, 'invalid'} end
redis.call('HSET', KEYS[1], 'redeemed', int(now), 'redeem_op', op)
record(KEYS[2], KEYS[3], {rec = KEYS[1], vid = body, app = app, mask = r[6], nh = r[7], op = op}, 'receipt.redeemed', now)
return {op, 'redeemed', int(now), r[6], r[8]}
