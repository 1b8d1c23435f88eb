#!lua
-- include: _common.lua
-- include: guard/_counters.lua
-- Judge a start of an unknown number by the budgets of the app, and fill those that it takes.
--
-- KEYS total! country! blocks! addresses!
-- ARGV policy region mode block_10k block_1k address cost look
-- Where policy: JSON of `GuardPolicy` · region: ISO 3166, '' for none · mode: 'monitor' or 'enforce' · block_10k, block_1k and
--       address: keyed hashes, address '' if it is not known · look '1': judge alone
-- Reply {'1' if it is refused, '1' warm, '1' outage, '1' probe of the country, '1' probe of the total, budgets without
--       room with commas, `GuardReport` with commas, milliseconds}
-- Holds judging and filling are one step, so that however many ask at once no budget is exceeded by one. A call that is
--       made twice fills twice: its budgets are then tighter than they need be, until they drain.
local now = clock()
cost = tonumber(cost)
read_country(block_10k)
local block_10k_text, block_1k_text = unpack(redis.call('HMGET', blocks_key, block_10k, block_1k))
local of_10k, of_1k = read_bucket(block_10k_text), read_bucket(block_1k_text)
local from = read_address(address ~= '' and redis.call('HGET', addresses_key, address) or nil)
local warm, outage, limits = is_warm(now), is_outage(now), limits_now(now)
local warm_limits = {country = limits.country * p.warm_factor / 2, total = limits.total * p.warm_factor / 2}
local full, narrow = {}, 0

local function is_full(budget, level, limit)
  if level + cost > limit then full[#full + 1] = budget end
end

-- ---- judging ----

is_full('block_1k', level_now(of_1k, p.block_1k_in_6h, BLOCK_1K_MS, now), p.block_1k_in_6h)
is_full('block_10k', level_now(of_10k, p.block_10k_a_day, DAY, now), p.block_10k_a_day)
if address ~= '' then
  is_full('address', level_now(from.bucket, p.address_an_hour, HOUR, now),
    p.address_an_hour * (warm and p.address_warm_factor or 1))
  local others = 0
  for name, at in pairs(from.countries) do
    if name ~= region and at > now - DAY then others = others + 1 end
  end
  if others >= p.address_countries then full[#full + 1] = 'address_countries' end
end
narrow = #full

local function judge_wide()
  if warm then
    is_full('country_warm', level_now(country.warm, warm_limits.country, WARM_MS, now), warm_limits.country)
    is_full('total_warm', level_now(total.warm, warm_limits.total, WARM_MS, now), warm_limits.total)
    return
  end
  is_full('country', cold_level(country.cold, country.probes, limits.country, now), limits.country)
  is_full('country_hour', level_now(country.hour, limits.hour, HOUR, now), limits.hour)
  is_full('total', cold_level(total.cold, total.probes, limits.total, now), limits.total)
end
judge_wide()
if outage then
  local any = #full > narrow
  while #full > narrow do full[#full] = nil end
  if any then is_full('outage', level_now(total.outage, limits.outage, DAY, now), limits.outage) end
end

local is = {}
for _, budget in ipairs(full) do is[budget] = true end
local only_reports = mode == 'monitor' or (narrow == 0 and total.approvals < p.monitor_approvals
  and now < total.started + p.monitor_ms)

local function is_due(probes, level, limit)
  return probes.refused > 0 and now >= probes.next_at and level + 1 <= limit * p.overdraft
end

-- Whether it may pass as the probe of its country's budgets, and as that of the total's.
local function judge_probes()
  local of_total, of_country = is.total or false, is.country or is.country_hour or false
  local count = (of_total and 1 or 0) + (is.country and 1 or 0) + (is.country_hour and 1 or 0)
  if #full == 0 or count < #full then return false, false end
  local due = (not of_country or is_due(country.probes,
      cold_level(country.cold, country.probes, limits.country, now), limits.country))
    and (not of_total or is_due(total.probes, cold_level(total.cold, total.probes, limits.total, now), limits.total))
  return due and of_country, due and of_total
end
local country_probe, total_probe = judge_probes()
local passes = only_reports or country_probe or total_probe or #full == 0
country_probe, total_probe = country_probe and not only_reports, total_probe and not only_reports

local function flag(value) return value and '1' or '0' end
local function answer()
  return {flag(not passes), flag(warm), flag(outage), flag(country_probe), flag(total_probe), table.concat(full, ','),
    table.concat(reports, ','), int(now)}
end
if look == '1' then return answer() end

-- ---- counting ----

if total.started == 0 then total.started = now end
limits = limits_now(now)
warm_limits = {country = limits.country * (p.warm_factor / 2), total = limits.total * (p.warm_factor / 2)}

-- A budget was full: the refusal that begins a row starts the row of probes anew.
local function press(bucket, probes, limit)
  set_level(bucket, cold_level(bucket, probes, limit, now), now)
  local begins = now >= probes.refused + p.pressed_ms
  if begins and now >= probes.refused + p.probe_last_ms then
    probes.gap, probes.next_at = p.probe_first_ms, now + p.probe_first_ms
  end
  probes.refused = now
  return begins
end

if is.country or is.country_hour then
  if press(country.cold, country.probes, limits.country) then report('tripped', 'country', region) end
end
if is.total and press(total.cold, total.probes, limits.total) then report('tripped', 'total', '') end
for _, budget in ipairs(full) do
  if budget ~= 'country' and budget ~= 'country_hour' and budget ~= 'total' then report('tripped', budget, region) end
end

-- In monitor mode everything passes; a level without bound would refuse for ever after that.
local function fill(bucket, level, most)
  set_level(bucket, math.max(level, math.min(level + cost, most)), now)
end

local function fill_wide()
  if outage then
    return fill(total.outage, level_now(total.outage, limits.outage, DAY, now), limits.outage * p.overdraft)
  end
  if warm then
    fill(country.warm, level_now(country.warm, warm_limits.country, WARM_MS, now), warm_limits.country * p.overdraft)
    return fill(total.warm, level_now(total.warm, warm_limits.total, WARM_MS, now), warm_limits.total * p.overdraft)
  end
  fill(country.cold, cold_level(country.cold, country.probes, limits.country, now), limits.country * p.overdraft)
  fill(country.hour, level_now(country.hour, limits.hour, HOUR, now), limits.hour * p.overdraft)
  fill(total.cold, cold_level(total.cold, total.probes, limits.total, now), limits.total * p.overdraft)
end

local function fill_address()
  fill(from.bucket, level_now(from.bucket, p.address_an_hour, HOUR, now),
    p.address_an_hour * p.address_warm_factor * p.overdraft)
  local old, count = {}, 0
  for name, at in pairs(from.countries) do
    if at <= now - DAY then old[#old + 1] = name else count = count + 1 end
  end
  for _, name in ipairs(old) do from.countries[name] = nil end
  if count <= p.address_countries or from.countries[region] then from.countries[region] = now end
  write_buckets(addresses_key, {address, pack_address(from)}, now)
end

local function next_probe(probes)
  probes.gap = math.min(2 * probes.gap, p.probe_last_ms)
  probes.next_at = now + probes.gap
end

local function count_novelty()
  add_day(country.counted, now)
  local today, best = math.floor(now / DAY), 0
  for day, count in pairs(country.counted) do if day < today then best = math.max(best, count) end end
  local most, count = math.max(p.novelty_floor, p.novelty_factor * best), country.counted[today]
  -- Once a day: by the count that passes it.
  if count - 1 <= most and most < count then report('novelty', 'country', region) end
end

if passes then
  fill(of_10k, level_now(of_10k, p.block_10k_a_day, DAY, now), p.block_10k_a_day * p.overdraft)
  fill(of_1k, level_now(of_1k, p.block_1k_in_6h, BLOCK_1K_MS, now), p.block_1k_in_6h * p.overdraft)
  write_buckets(blocks_key, {block_10k, pack_bucket(of_10k), block_1k, pack_bucket(of_1k)}, now)
  if address ~= '' then fill_address() end
  fill_wide()
  if country_probe then next_probe(country.probes) report('probed', 'country', region) end
  if total_probe then next_probe(total.probes) report('probed', 'total', '') end
  count_novelty()
end
write_total()
write_country()
return answer()
