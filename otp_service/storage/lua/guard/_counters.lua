-- Shared by the scripts of the pumping guard: its counters as the store keeps them, and the limits that follow from
-- them. The rules are those of domain/guard; a test holds the two equal. Needs _common.lua. The scripts declare the keys
-- total, country, blocks and addresses, and the arguments policy (JSON) and region.

local MINUTE, HOUR, DAY = 60000, 3600000, 86400000
local BLOCK_1K_MS, WARM_MS, KNOWN_MS, KEPT_DAYS = 6 * HOUR, DAY / 2, 6 * HOUR, 14
local p = cjson.decode(policy)

local function read_bucket(text)
  local level, at = string.match(text or '', GuardBucket.PARSE)
  return {level = tonumber(level) or 0, at = tonumber(at) or 0}
end

local function pack_bucket(bucket)
  return string.format(GuardBucket.PACK, string.format('%.17g', bucket.level), int(bucket.at))
end

-- The level now: it drains evenly, its whole limit in a window. A clock that stepped back drains nothing.
local function level_now(bucket, limit, window, now)
  if bucket.level <= 0 then return 0 end
  return math.max(0, bucket.level - limit * math.max(0, now - bucket.at) / window)
end

local function set_level(bucket, level, now)
  bucket.level, bucket.at, bucket.changed = math.max(0, level), now, true
end

local function read_probes(text)
  local refused, next_at, gap = string.match(text or '', GuardProbes.PARSE)
  return {refused = tonumber(refused) or 0, next_at = tonumber(next_at) or 0, gap = tonumber(gap) or 0}
end

local function pack_probes(probes)
  return string.format(GuardProbes.PACK, int(probes.refused), int(probes.next_at), int(probes.gap))
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

local total, country = {}, {}
do
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

local function is_warm(now)
  return country.first and country.first <= now - p.warm_after_ms and country.last >= now - p.warm_for_ms or false
end

local function limits_now(now)
  local young = now < total.started + p.young_ms
  local day = math.max(p.country_a_day, p.share * base_of(country.approved, now, young))
  local everywhere = base_of(total.approved, now, young)
  return {country = day, hour = math.max(p.country_an_hour, p.hour_share * day),
    total = math.max(p.total_a_day, p.share * everywhere),
    outage = math.max(p.outage_floor, p.outage_share * everywhere)}
end

-- The level of a bucket that drains slowly shortly after a refusal.
local function cold_level(bucket, probes, limit, now)
  local pressed = probes.refused > 0 and now < probes.refused + p.pressed_ms
  return level_now(bucket, pressed and limit * p.pressed_drain or limit, DAY, now)
end

local function is_outage(now)
  return level_now(total.known, p.outage_known, KNOWN_MS, now) >= p.outage_known
end

-- An address: its bucket, and the countries of its sends with the time of the last.
local function read_address(text)
  local level, at, listed = string.match(text or '', GuardAddress.PARSE)
  local found = {bucket = {level = tonumber(level) or 0, at = tonumber(at) or 0}, countries = {}}
  for _, name, its in string.gmatch(listed or '', GuardVisit.EACH) do found.countries[name] = tonumber(its) end
  return found
end

local function pack_address(one)
  local parts = {}
  for name, at in pairs(one.countries) do parts[#parts + 1] = string.format(GuardVisit.PACK, name, int(at)) end
  return string.format(GuardAddress.PACK, string.format('%.17g', one.bucket.level), int(one.bucket.at),
    table.concat(parts, ','))
end

-- How long what is written lives after its last change, and how many buckets are looked at for old ones each time.
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
  local old = {}
  local found = redis.call('HRANDFIELD', key, LOOKED_AT, 'WITHVALUES')
  for i = 1, #found, 2 do
    local name, value = found[i], found[i + 1]
    local _, at = string.match(value, GuardBucket.PARSE)
    at = tonumber(string.match(at or '', '^%d+'))
    if not at or at + BUCKET_MS < now then old[#old + 1] = name end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
end

-- What is worth an event: `GuardReport` with commas.
local reports = {}
local function report(what, budget, where)
  reports[#reports + 1] = string.format(GuardReport.PACK, what, budget, where)
end
