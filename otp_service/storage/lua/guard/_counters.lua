-- Shared by the scripts of the pumping guard: its counters as the store keeps them, and which buckets a start takes from.
-- The rules are those of domain/guard, function by function; a test holds the two equal. Needs _common.lua. The scripts
-- declare the keys total, country, blocks and addresses, and the arguments policy (JSON) and region.

local HOUR, DAY, KEPT_DAYS = 3600000, 86400000, 14
local KNOWN_MS, PRESSED_MS = 6 * HOUR, HOUR
local p = cjson.decode(policy)

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
  bucket.level, bucket.at = math.max(level, math.min(level + amount, its.most * p.overdraft)), now
end

local function lower(bucket, its, amount, now)
  bucket.level, bucket.at = math.max(0, level_now(bucket, its, now) - amount), now
end

-- Note a refusal. Returns whether it is the first for a while. The level is written down at the old rate.
local function press(bucket, its, now)
  local begins = not is_pressed(bucket, now)
  bucket.level, bucket.at, bucket.refused = level_now(bucket, its, now), now, now
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
  return best[p.base_rank] or 0
end

-- ---- records ----

local total, country

local function read_total()
  local cold, warm, known, outage, probes, approved, started, approvals = unpack(redis.call('HMGET', total_key,
    Guard.COLD, Guard.WARM, Guard.KNOWN, Guard.OUTAGE, Guard.PROBES, Guard.APPROVED, Guard.STARTED, Guard.APPROVALS))
  total = {cold = read_bucket(cold), warm = read_bucket(warm), known = read_bucket(known), outage = read_bucket(outage),
    probes = read_probes(probes), approved = read_days(approved), started = tonumber(started) or 0,
    approvals = tonumber(approvals) or 0}
end

local function read_country(block)
  local cold, hour, warm, probes, approved, counted, warm_block = unpack(redis.call('HMGET', country_key,
    Guard.COLD, Guard.HOUR, Guard.WARM, Guard.PROBES, Guard.APPROVED, Guard.COUNTED, Guard.WARM_BLOCK .. block))
  local first, last = string.match(warm_block or '', GuardWarmBlock.PARSE)
  country = {cold = read_bucket(cold), hour = read_bucket(hour), warm = read_bucket(warm), probes = read_probes(probes),
    approved = read_days(approved), counted = read_days(counted), first = tonumber(first), last = tonumber(last)}
end

-- An address: its bucket, and the countries of its sends with the time of the last.
local function read_address(text)
  local level, at, refused, listed = string.match(text or '', GuardAddress.PARSE)
  local found = {bucket = {level = tonumber(level) or 0, at = tonumber(at) or 0, refused = tonumber(refused) or 0},
    countries = {}}
  for _, name, its in string.gmatch(listed or '', GuardVisit.EACH) do found.countries[name] = tonumber(its) end
  return found
end

local function pack_address(one)
  local parts = {}
  for name, at in pairs(one.countries) do parts[#parts + 1] = string.format(GuardVisit.PACK, name, int(at)) end
  return string.format(GuardAddress.PACK, string.format('%.17g', one.bucket.level), int(one.bucket.at),
    int(one.bucket.refused), table.concat(parts, ','))
end

-- How long a country and the total live after their last change, how long a bucket may, and how many are looked at for
-- old ones each time.
local KEPT_MS, BUCKET_MS, LOOKED_AT = 200 * DAY, 2 * DAY, 2

local function write_total()
  redis.call('HSET', total_key, Guard.COLD, pack_bucket(total.cold), Guard.WARM, pack_bucket(total.warm),
    Guard.KNOWN, pack_bucket(total.known), Guard.OUTAGE, pack_bucket(total.outage), Guard.PROBES,
    pack_probes(total.probes), Guard.APPROVED, pack_days(total.approved), Guard.STARTED, int(total.started),
    Guard.APPROVALS, int(total.approvals), Guard.REGION .. region, '')
  redis.call('PEXPIRE', total_key, KEPT_MS)
end

local function write_country()
  redis.call('HSET', country_key, Guard.COLD, pack_bucket(country.cold), Guard.HOUR, pack_bucket(country.hour),
    Guard.WARM, pack_bucket(country.warm), Guard.PROBES, pack_probes(country.probes), Guard.APPROVED,
    pack_days(country.approved), Guard.COUNTED, pack_days(country.counted))
  redis.call('PEXPIRE', country_key, KEPT_MS)
end

-- Write buckets of a hash (field, value ...), and drop some of those that have long been empty.
local function write_buckets(key, fields, now)
  if #fields == 0 then return end
  redis.call('HSET', key, unpack(fields))
  redis.call('PEXPIRE', key, BUCKET_MS)
  local old, found = {}, redis.call('HRANDFIELD', key, LOOKED_AT, 'WITHVALUES')
  for i = 1, #found, 2 do
    local at = read_bucket(found[i + 1]).at
    if at + BUCKET_MS < now then old[#old + 1] = found[i] end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
end

-- ---- which buckets a start takes from ----

local function is_warm(now)
  return country.first and country.first <= now - p.warm_after_ms and country.last >= now - p.warm_for_ms or false
end

local function known_rate() return rate(p.outage_known, p.outage_known, KNOWN_MS) end

-- Whether not even known numbers convert.
local function is_outage(now) return level_now(total.known, known_rate(), now) >= p.outage_known end

local function limits_now(now)
  local young = now < total.started + p.young_ms
  local own = p.share * base_of(country.approved, now, young)
  local everywhere = base_of(total.approved, now, young)
  return {country = math.max(p.country_a_day, own), total = math.max(p.total_a_day, p.share * everywhere),
    base = everywhere, carried = own >= p.country_a_day}
end

local function place(budget, bucket, its) return {budget = budget, bucket = bucket, rate = its} end

local function warm_rate(limit)
  return rate(limit * p.warm_factor / 2, limit * p.warm_factor, DAY, p.pressed_warm_drain)
end

local function wide_places(way, limits)
  if way.outage then
    local most = math.max(p.outage_floor, p.outage_share * limits.base)
    return {place('outage', total.outage, rate(most, most, DAY))}
  end
  if way.warm then
    return {place('country_warm', country.warm, warm_rate(limits.country)),
      place('total_warm', total.warm, warm_rate(limits.total))}
  end
  local hour = math.max(p.country_an_hour, p.hour_share * limits.country)
  local found = {place('country', country.cold, rate(limits.country, limits.country, DAY, p.pressed_drain)),
    place('country_hour', country.hour, rate(hour, hour, HOUR))}
  if way.total then
    found[3] = place('total', total.cold, rate(limits.total, limits.total, DAY, p.pressed_drain))
  end
  return found
end

-- Every bucket, in the order in which refusals name them. `from`: the address, or nil.
local function places(of_10k, of_1k, from, way, limits)
  local found = {place('block_1k', of_1k, rate(p.block_1k_in_6h, p.block_1k_in_6h, 6 * HOUR)),
    place('block_10k', of_10k, rate(p.block_10k_a_day, p.block_10k_a_day, DAY))}
  if from then
    local most = p.address_an_hour * (way.warm and p.address_warm_factor or 1)
    found[3] = place('address', from.bucket, rate(most, p.address_an_hour, HOUR))
  end
  for _, one in ipairs(wide_places(way, limits)) do found[#found + 1] = one end
  return found
end

local PROBED = {country = true, country_hour = true, total = true}
local function row_of(budget) return budget == 'total' and total.probes or country.probes end

-- What is worth an event: `GuardReport` with commas. Budgets of all countries have no country.
local reports, EVERYWHERE = {}, {total = true, total_warm = true, outage = true}
local function report(what, budget)
  reports[#reports + 1] = string.format(GuardReport.PACK, what, budget, EVERYWHERE[budget] and '' or region)
end

read_total()
