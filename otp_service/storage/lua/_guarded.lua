-- Shared by the scripts that know a number: what the pumping guard keeps of it in one app. Needs _common.lua. They declare
-- the argument guard_rules, `GuardTimes`: how long a number is known after an approval, how long a count covers its
-- sends, and how many. One table holds all of it: a script may have so many local variables only.
local guards = {KNOWN_GAP_MS = 86400000}
guards.known_ms, guards.counted_ms, guards.sends = string.match(guard_rules, GuardTimes.PARSE)

-- What the fields say, see `GuardedNumber`. known: approved within the time of the policy, so that nothing of it is
-- counted or refused; counted_yet: what an earlier send took may still be given back; covered: an earlier count pays for
-- one more send.
function guards.read(text, now)
  local approved, counted, sends, started, region, block = string.match(text or '', GuardedNumber.PARSE)
  local one = {approved = tonumber(approved) or 0, counted = tonumber(counted) or 0, sends = tonumber(sends) or 0,
    started = tonumber(started) or 0, region = region or '', block = block or ''}
  one.known = one.approved > 0 and now < one.approved + guards.known_ms
  one.counted_yet = one.counted > 0 and now < one.counted + guards.counted_ms
  one.covered = not one.known and one.counted_yet and one.sends < tonumber(guards.sends)
  return one
end

function guards.pack(one)
  return string.format(GuardedNumber.PACK, int(one.approved), int(one.counted), int(one.sends), int(one.started),
    one.region, one.block)
end

-- Count a start that passes: what is written to the number's hash (added to `written`), for how long it must live, and
-- what is kept: 'counted', 'known', 'covered' where the number's place was not known yet, or ''. `takes`: what earlier sends took; `taken`: what this one took.
function guards.count(one, takes, place, taken, written, now)
  local region, block_10k, block_1k = string.match(place, GuardPlace.PARSE)
  local kept, lives, is_new = '', 0, one.region == ''
  one.region, one.block = region, block_10k
  if one.known then
    -- Starts within a day are one, so that few numbers cannot make it look like an outage.
    if now < one.started + guards.KNOWN_GAP_MS then return lives, kept end
    one.started, kept = now, 'known'
  elseif one.covered then
    one.sends, kept = one.sends + 1, is_new and 'covered' or ''
  else
    local _, before = string.match(one.counted_yet and takes or '', GuardTakes.PARSE)
    one.counted, one.sends, kept = one.counted_yet and one.counted or now, 1, 'counted'
    lives = guards.counted_ms + 0
    written[#written + 1] = Number.GUARD_TAKEN .. app
    written[#written + 1] = string.format(GuardTakes.PACK, block_1k, before and before .. ',' .. taken or taken)
  end
  written[#written + 1] = Number.GUARDED .. app
  written[#written + 1] = guards.pack(one)
  return lives, kept
end

-- What an approval writes to the number's hash, and what it gives back: `GuardedApproval`, '' where the number's place is
-- not known.
function guards.approve(text, takes, now)
  local one, given = guards.read(text, now), ''
  if one.region ~= '' then
    local block_1k, taken = string.match(one.counted_yet and takes or '', GuardTakes.PARSE)
    given = string.format(GuardedApproval.PACK, one.region, one.block, block_1k or '', one.known and '1' or '0',
      taken or '')
  end
  one.approved, one.counted, one.sends = now, 0, 0
  local written = {Number.GUARDED .. app, guards.pack(one)}
  if takes and takes ~= '' then
    written[#written + 1] = Number.GUARD_TAKEN .. app
    written[#written + 1] = ''
  end
  return written, given
end
