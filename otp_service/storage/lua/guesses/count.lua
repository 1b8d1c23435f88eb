#!lua
-- include: _common.lua
-- Count judged guesses of an app, and judge whether there is guessing over many numbers (domain/guessing.py).
--
-- KEYS guesses! audit!
-- ARGV app wrong approved least per_approval window_ms bucket_ms hold_ms
-- Where wrong and approved: guesses since the last call, '0' to look alone · least: wrong codes of a window below which
--       there is none · per_approval: with more wrong codes for each approval there is
-- Reply {level, wrong codes of the window, approvals of the window, the level before}
-- Holds a level rises at once, and falls once the figures have asked for less for `hold_ms`; each change is on record.
local now = clock()
local bucket = math.floor(now / bucket_ms)
if wrong ~= '0' then redis.call('HINCRBY', guesses_key, Guesses.WRONG .. int(bucket), wrong) end
if approved ~= '0' then redis.call('HINCRBY', guesses_key, Guesses.APPROVED .. int(bucket), approved) end
local all_wrong, all_approved, before, holds_until, old = 0, 0, 0, 0, {}
local found = redis.call('HGETALL', guesses_key)
for i = 1, #found, 2 do
  local name, value = found[i], tonumber(found[i + 1]) or 0
  local of_bucket = tonumber(string.match(name, ':(%d+)$'))
  if name == Guesses.LEVEL then before = value
  elseif name == Guesses.HOLDS then holds_until = value
  elseif not of_bucket or of_bucket <= bucket - window_ms / bucket_ms or of_bucket > bucket then old[#old + 1] = name
  elseif string.find(name, Guesses.WRONG, 1, true) == 1 then all_wrong = all_wrong + value
  else all_approved = all_approved + value end
end
if #old > 0 then redis.call('HDEL', guesses_key, unpack(old)) end
local wanted = 0
if all_wrong >= tonumber(least) and all_wrong > per_approval * all_approved then
  wanted = (all_wrong >= 2 * least and all_wrong > 2 * per_approval * all_approved) and 2 or 1
end
-- A clock that was set back holds nothing for longer.
if holds_until > now + hold_ms then holds_until = now + hold_ms end
local level = math.max(wanted, now < holds_until and before or 0)
if wanted > 0 and wanted >= before or level ~= before then
  redis.call('HSET', guesses_key, Guesses.LEVEL, int(level), Guesses.HOLDS, int(now + hold_ms))
end
if level ~= before then
  append_audit(audit_key, {app = app}, audit_event('guessing.changed', nil, cjson.encode({level = level,
    before = before, wrong_codes = all_wrong, approvals = all_approved})))
end
if #found > 0 then redis.call('PEXPIRE', guesses_key, int(2 * window_ms)) end
return {level, all_wrong, all_approved, before}
