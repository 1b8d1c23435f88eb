-- Shared by the scripts of the pumping guard that change budgets: a country, its blocks, the addresses, and which buckets
-- a start takes from. Needs guard/_counters.lua. The scripts declare the keys country, blocks and addresses.

local country

local function read_country(block)
  local cold, hour, warm, probes, approved, counted, kept, warm_block = unpack(redis.call('HMGET', country_key,
    Guard.COLD, Guard.HOUR, Guard.WARM, Guard.PROBES, Guard.APPROVED, Guard.COUNTED, Guard.BLOCKS_KEPT,
    Guard.WARM_BLOCK .. block))
  local first, last = string.match(warm_block or '', GuardWarmBlock.PARSE)
  country = {is_new = not (cold or hour or warm or approved or counted), cold = read_bucket(cold),
    hour = read_bucket(hour), warm = read_bucket(warm), probes = read_probes(probes), approved = read_days(approved),
    counted = read_days(counted), blocks_kept = tonumber(kept) or 0, first = tonumber(first), last = tonumber(last)}
  country.changed_at = math.max(country.cold.at, country.hour.at, country.warm.at)
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

-- `written`: what else is written to it, field, value ...
local function write_country(now, written)
  add_changed(written, Guard.COLD, country.cold, pack_bucket)
  add_changed(written, Guard.HOUR, country.hour, pack_bucket)
  add_changed(written, Guard.WARM, country.warm, pack_bucket)
  add_changed(written, Guard.PROBES, country.probes, pack_probes)
  add_changed(written, Guard.APPROVED, country.approved, pack_days)
  add_changed(written, Guard.COUNTED, country.counted, pack_days)
  if changed.blocks_kept then
    written[#written + 1] = Guard.BLOCKS_KEPT
    written[#written + 1] = int(country.blocks_kept)
  end
  if #written > 0 then redis.call('HSET', country_key, unpack(written)) end
  keep(country_key, country.changed_at, now)
end

-- How long a bucket may live at least, and how many are looked at for old ones at one write of eight: more than eight writes may
-- add (16), or old ones would become ever more.
local BUCKET_MS, LOOKED_AT = 2 * DAY, 32

-- Whether this write looks for old ones: names are keyed hashes, so that one of eight ends so.
local function is_eighth(name) return string.find(name, '[08]$') ~= nil end

-- Write buckets of a hash (field, value ...), and now and then drop some of those that have long been empty. The hash's
-- end is moved once an hour: `record` (the total or the country) holds as `field` when that was last.
local function write_buckets(key, fields, record, field, now)
  if #fields == 0 then return end
  redis.call('HSET', key, unpack(fields))
  if now < record[field] or now >= record[field] + HOUR then
    redis.call('PEXPIRE', key, BUCKET_MS + HOUR)
    record[field], changed[field] = now, true
  end
  if not is_eighth(fields[#fields - 1]) then return end
  local old, found = {}, redis.call('HRANDFIELD', key, LOOKED_AT, 'WITHVALUES')
  for i = 1, #found, 2 do
    local at = read_bucket(found[i + 1]).at
    if at + BUCKET_MS < now then old[#old + 1] = found[i] end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
end

-- ---- which buckets a start takes from ----

local function is_warm(now)
  return country.first and country.first <= now - p[GuardNumbers.WARM_AFTER_MS] and country.last >= now - p[GuardNumbers.WARM_FOR_MS] or false
end

local function limits_now(now)
  local young = now < total.started + p[GuardNumbers.YOUNG_MS]
  local own = p[GuardNumbers.SHARE] * base_of(country.approved, now, young)
  local everywhere = base_of(total.approved, now, young)
  return {country = math.max(p[GuardNumbers.COUNTRY_A_DAY], own), total = math.max(p[GuardNumbers.TOTAL_A_DAY], p[GuardNumbers.SHARE] * everywhere),
    base = everywhere, carried = own >= p[GuardNumbers.COUNTRY_A_DAY]}
end

local function place(budget, bucket, its) return {budget = budget, bucket = bucket, rate = its} end

local function warm_rate(a_day) return rate(a_day / 2, a_day, DAY, p[GuardNumbers.PRESSED_WARM_DRAIN]) end

-- Of the bucket that takes the place of all wide ones in an outage.
local function outage_rate(limits)
  local most = math.max(p[GuardNumbers.OUTAGE_FLOOR], p[GuardNumbers.OUTAGE_SHARE] * limits.base)
  return rate(most, most, DAY)
end

local function wide_places(way, limits)
  if way.outage then
    return {place('outage', total.outage, outage_rate(limits))}
  end
  if way.warm then
    return {place('country_warm', country.warm, warm_rate(p[GuardNumbers.WARM_FACTOR] * limits.country)),
      place('total_warm', total.warm, warm_rate(math.max(2 * p[GuardNumbers.TOTAL_A_DAY], p[GuardNumbers.TOTAL_WARM_SHARE] * limits.base)))}
  end
  local hour = math.max(p[GuardNumbers.COUNTRY_AN_HOUR], p[GuardNumbers.HOUR_SHARE] * limits.country)
  local found = {place('country', country.cold, rate(limits.country, limits.country, DAY, p[GuardNumbers.PRESSED_DRAIN])),
    place('country_hour', country.hour, rate(hour, hour, HOUR))}
  if way.total then
    found[3] = place('total', total.cold, rate(limits.total, limits.total, DAY, p[GuardNumbers.PRESSED_DRAIN]))
  end
  return found
end

-- Every bucket, in the order in which refusals name them. `from`: the address, or nil.
local function places(of_10k, of_1k, from, way, limits)
  local factor = way.warm and p[GuardNumbers.BLOCK_WARM_FACTOR] or 1
  local found = {place('block_1k', of_1k, rate(p[GuardNumbers.BLOCK_1K_IN_6H] * factor, p[GuardNumbers.BLOCK_1K_IN_6H], 6 * HOUR)),
    place('block_10k', of_10k, rate(p[GuardNumbers.BLOCK_10K_A_DAY] * factor, p[GuardNumbers.BLOCK_10K_A_DAY], DAY))}
  if from then
    local most = p[GuardNumbers.ADDRESS_AN_HOUR] * (way.warm and p[GuardNumbers.ADDRESS_WARM_FACTOR] or 1)
    found[3] = place('address', from.bucket, rate(most, p[GuardNumbers.ADDRESS_AN_HOUR], HOUR))
  end
  for _, one in ipairs(wide_places(way, limits)) do found[#found + 1] = one end
  return found
end

local PROBED = {country = true, country_hour = true, total = true}
local function row_of(budget) return budget == 'total' and total.probes or country.probes end
