-- Shared by the scripts of the pumping guard: buckets, and the total over all countries.
-- The rules are those of domain/guard, function by function; a test holds the two equal. Needs _common.lua. The scripts
-- declare the key total and the arguments policy (`GuardNumbers`) and region.

local HOUR, DAY, KEPT_DAYS = 3600000, 86400000, 14
local KNOWN_MS, PRESSED_MS = 6 * HOUR, HOUR
local p = cmsgpack.unpack(policy)

-- What was changed since it was read: only that is written.
local changed = {}

-- ---- buckets ----

local function read_bucket(text)
  local level, at, refused = string.match(text or '', GuardBucket.PARSE)
  return {level = tonumber(level) or 0, at = tonumber(at) or 0, refused = tonumber(refused) or 0}
end

local function pack_bucket(one)
  return string.format(GuardBucket.PACK, string.format('%.17g', one.level), int(one.at), int(one.refused))
end

-- A bucket's limits: it holds `most` and drains `drained` in a window, times `pressed` shortly after a refusal.
local function rate(most, drained, window, pressed)
  return {most = most, drained = drained, window = window, pressed = pressed or 1}
end

local function is_pressed(bucket, now)
  return bucket.refused > 0 and now < bucket.refused + PRESSED_MS
end

-- The level now. A clock that stepped back drains nothing.
local function level_now(bucket, its, now)
  if bucket.level <= 0 then return 0 end
  local drained = its.drained * math.max(0, now - bucket.at) / its.window
  if its.pressed ~= 1 and is_pressed(bucket, now) then drained = drained * its.pressed end
  return math.max(0, bucket.level - drained)
end

-- Add to it up to a bound: in monitor mode everything passes, and a level without bound would refuse for ever after that.
local function fill(bucket, its, amount, now)
  local level = level_now(bucket, its, now)
  bucket.level, bucket.at = math.max(level, math.min(level + amount, its.most * p[GuardNumbers.OVERDRAFT])), now
  changed[bucket] = true
end

local function lower(bucket, its, amount, now)
  bucket.level, bucket.at = math.max(0, level_now(bucket, its, now) - amount), now
  changed[bucket] = true
end

-- Note a refusal. Returns whether it is the first for a while. The level is written down at the old rate.
local function press(bucket, its, now)
  local begins = not is_pressed(bucket, now)
  bucket.level, bucket.at, bucket.refused = level_now(bucket, its, now), now, now
  changed[bucket] = true
  return begins
end

-- ---- probes and days ----

local function read_probes(text)
  local next_at, gap, refused = string.match(text or '', GuardProbes.PARSE)
  return {next_at = tonumber(next_at) or 0, gap = tonumber(gap) or 0, refused = tonumber(refused) or 0}
end

local function pack_probes(probes)
  return string.format(GuardProbes.PACK, int(probes.next_at), int(probes.gap), int(probes.refused))
end

-- Counts by UTC day, from `GuardDay` with commas.
local function read_days(text)
  local days = {}
  for _, day, count in string.gmatch(text or '', GuardDay.EACH) do days[tonumber(day)] = tonumber(count) end
  return days
end

local function pack_days(days)
  local parts = {}
  for day, count in pairs(days) do parts[#parts + 1] = string.format(GuardDay.PACK, int(day), int(count)) end
  return table.concat(parts, ',')
end

local function add_day(days, now)
  local today = math.floor(now / DAY)
  if not days[today] then
    local old = {}
    for day in pairs(days) do if day < today - KEPT_DAYS then old[#old + 1] = day end end
    for _, day in ipairs(old) do days[day] = nil end
  end
  days[today] = (days[today] or 0) + 1
  changed[days] = true
end

-- The newly approved numbers of a good day. `young`: the app has too few whole days behind it for that.
local function base_of(days, now, young)
  local today, best, most = math.floor(now / DAY), {}, 0
  for day, count in pairs(days) do
    if day > today - KEPT_DAYS then most = math.max(most, count) end
    if day >= today - KEPT_DAYS and day < today then best[#best + 1] = count end
  end
  if young then return most end
  table.sort(best, function(one, other) return one > other end)
  return best[p[GuardNumbers.BASE_RANK]] or 0
end

-- ---- records ----

local total

local function read_total()
  local cold, warm, known, outage, probes, approved, started, approvals, turns, kept = unpack(redis.call('HMGET',
    total_key, Guard.COLD, Guard.WARM, Guard.KNOWN, Guard.OUTAGE, Guard.PROBES, Guard.APPROVED, Guard.STARTED,
    Guard.APPROVALS, Guard.TURNS, Guard.ADDRESSES_KEPT))
  total = {cold = read_bucket(cold), warm = read_bucket(warm), known = read_bucket(known), outage = read_bucket(outage),
    probes = read_probes(probes), approved = read_days(approved), started = tonumber(started) or 0,
    approvals = tonumber(approvals) or 0, turns = {0, 0, 0, 0, 0}, addresses_kept = tonumber(kept) or 0}
  total.changed_at = math.max(total.cold.at, total.warm.at, total.known.at, total.outage.at)
  for i, count in ipairs({string.match(turns or '', GuardTurns.PARSE)}) do total.turns[i] = tonumber(count) end
end

-- How long a country and the total live after the first change of a day, which alone moves their end. Whatever changes
-- a bucket writes when that was: where none was changed today, `changed_at`, the key's end was not moved today either.
local KEPT_MS = 200 * DAY

local function keep(key, changed_at, now)
  if math.floor(changed_at / DAY) ~= math.floor(now / DAY) then redis.call('PEXPIRE', key, KEPT_MS) end
end

-- Add a field and its text to what is written, if it has changed.
local function add_changed(written, field, one, pack)
  if changed[one] then
    written[#written + 1] = field
    written[#written + 1] = pack(one)
  end
end

-- Which of `total.turns` is counted: the parts of `GuardTurns`.
local TURN = {START = 1, APPROVED = 2, KNOWN_APPROVED = 3, KNOWN_START = 4, UNSENT = 5}

local function count_turn(turn, count)
  total.turns[turn] = total.turns[turn] + count
end

local function pack_turns()
  local texts = {}
  for i, count in ipairs(total.turns) do texts[i] = int(count) end
  return string.format(GuardTurns.PACK, unpack(texts))
end

-- `is_new`: the total may not know of the country yet.
local function write_total(is_new, now)
  local written = {Guard.STARTED, int(total.started), Guard.APPROVALS, int(total.approvals), Guard.TURNS,
    pack_turns()}
  add_changed(written, Guard.COLD, total.cold, pack_bucket)
  add_changed(written, Guard.WARM, total.warm, pack_bucket)
  add_changed(written, Guard.KNOWN, total.known, pack_bucket)
  add_changed(written, Guard.OUTAGE, total.outage, pack_bucket)
  add_changed(written, Guard.PROBES, total.probes, pack_probes)
  add_changed(written, Guard.APPROVED, total.approved, pack_days)
  if is_new then
    written[#written + 1] = Guard.REGION .. region
    written[#written + 1] = ''
  end
  if changed.addresses_kept then
    written[#written + 1] = Guard.ADDRESSES_KEPT
    written[#written + 1] = int(total.addresses_kept)
  end
  redis.call('HSET', total_key, unpack(written))
  keep(total_key, total.changed_at, now)
end

-- ---- outages, and what is worth an event ----

local function known_rate() return rate(p[GuardNumbers.OUTAGE_KNOWN], p[GuardNumbers.OUTAGE_KNOWN], KNOWN_MS) end

-- Whether not even known numbers convert.
local function is_outage(now) return level_now(total.known, known_rate(), now) >= p[GuardNumbers.OUTAGE_KNOWN] end

-- What is worth an event: `GuardReport` with commas. Budgets of all countries have no country.
local reports, EVERYWHERE = {}, {total = true, total_warm = true, outage = true}
local function report(what, budget)
  reports[#reports + 1] = string.format(GuardReport.PACK, what, budget, EVERYWHERE[budget] and '' or region)
end

read_total()
