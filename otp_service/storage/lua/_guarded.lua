-- Shared by the scripts that know a number: what the pumping guard keeps of it in one app. Needs _common.lua. They declare
-- the argument guard_rules, `GuardTimes`: how long a number is known after an approval, how long a count covers its
-- sends, and how many.

local KNOWN_GAP_MS = 600000
local guard_known_ms, guard_counted_ms, guard_sends = string.match(guard_rules, GuardTimes.PARSE)

-- What the field says, see `GuardedNumber`.
local function read_guarded(text)
  local approved, counted, sends, started, region, block = string.match(text or '', GuardedNumber.PARSE)
  return {approved = tonumber(approved) or 0, counted = tonumber(counted) or 0, sends = tonumber(sends) or 0,
    started = tonumber(started) or 0, region = region or '', block = block or ''}
end

local function pack_guarded(one)
  return string.format(GuardedNumber.PACK, int(one.approved), int(one.counted), int(one.sends), int(one.started),
    one.region, one.block)
end

-- Whether it was approved within the time of the policy: then nothing of it is counted or refused.
local function is_known(one, now)
  return one.approved > 0 and now < one.approved + guard_known_ms
end

-- Whether what an earlier send took may still be given back.
local function is_counted(one, now)
  return one.counted > 0 and now < one.counted + guard_counted_ms
end

-- Whether an earlier count pays for one more send.
local function is_covered(one, now)
  return is_counted(one, now) and one.sends < tonumber(guard_sends)
end

-- What an approval writes to the number's hash, and what it gives back: `GuardedApproval`, '' where the number's place is not
-- known.
local function approved_number(text, takes, now)
  local one = read_guarded(text)
  local known, block_1k, taken = is_known(one, now), string.match(is_counted(one, now) and takes or '', GuardTakes.PARSE)
  local given = ''
  if one.region ~= '' then
    given = string.format(GuardedApproval.PACK, one.region, one.block, block_1k or '', known and '1' or '0', taken or '')
  end
  one.approved, one.counted, one.sends = now, 0, 0
  local written = {Number.GUARDED .. app, pack_guarded(one)}
  if takes and takes ~= '' then
    written[#written + 1] = Number.GUARD_TAKEN .. app
    written[#written + 1] = ''
  end
  return written, given
end
