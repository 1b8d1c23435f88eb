-- Shared by the scripts that judge a start of an unknown number by the budgets of the app, and fill those that it takes
-- from. Needs guard/_places.lua, and the time as `now`. The scripts say policy, region, mode, block_10k, block_1k, address
-- and cost; look '1': judge alone; is_quiet(): whether a refusal changes nothing, because this number was refused a moment
-- ago.
-- Returns {'1' if it is refused, the flags of `GuardTaken`, budgets without room with commas, `GuardReport` with commas,
-- `GuardTurn` where it is counted, else ''}.
cost = tonumber(cost)
read_country(block_10k)
local text_10k, text_1k = unpack(redis.call('HMGET', blocks_key, block_10k, block_1k))
local of_10k, of_1k = read_bucket(text_10k), read_bucket(text_1k)
local from = address ~= '' and read_address(redis.call('HGET', addresses_key, address)) or nil
local limits = limits_now(now)
local way = {warm = is_warm(now), total = not limits.carried}
-- When the allowance of an outage is spent, the usual budgets judge.
way.outage = is_outage(now) and level_now(total.outage, outage_rate(limits), now) + cost <= outage_rate(limits).most

-- Whether a country had more new numbers today than on its best day by far.
local function is_novel()
  local today, best = math.floor(now / DAY), 0
  for day, count in pairs(country.counted) do if day < today then best = math.max(best, count) end end
  return (country.counted[today] or 0) > math.max(p[GuardNumbers.NOVELTY_FLOOR], p[GuardNumbers.NOVELTY_FACTOR] * best)
end

-- ---- judging ----

local taken = places(of_10k, of_1k, from, way, limits)
local full, is_full, only_wide, only_probed = {}, {}, true, true
local WIDE = {country = true, country_hour = true, country_warm = true, total = true, total_warm = true, outage = true,
  novelty = true}
local function add_full(budget)
  full[#full + 1], is_full[budget] = budget, true
  only_wide, only_probed = only_wide and WIDE[budget] or false, only_probed and PROBED[budget] or false
end
for _, one in ipairs(taken) do
  if level_now(one.bucket, one.rate, now) + cost > one.rate.most then add_full(one.budget) end
end
local function other_countries()
  local count = 0
  for name, at in pairs(from.countries) do
    if name ~= region and at > now - DAY then count = count + 1 end
  end
  return count
end
if from and other_countries() >= p[GuardNumbers.ADDRESS_COUNTRIES] then add_full('address_countries') end
if p[GuardNumbers.NOVELTY_REFUSES] and not way.warm and is_novel() then add_full('novelty') end

local only_reports = total.approvals < p[GuardNumbers.MONITOR_APPROVALS] and now < total.started + p[GuardNumbers.MONITOR_MS]
local passes = #full == 0 or mode == 'monitor' or (only_wide and only_reports)

local function in_row(probes)
  return probes.refused > 0 and now < probes.refused + p[GuardNumbers.PROBE_LAST_MS]
end

-- Whether every spent budget is due for a probe. The refusal that begins a row of probes is none itself.
local function is_probe()
  if passes or not only_probed then return false end
  for _, one in ipairs(taken) do
    local probes = row_of(one.budget)
    if is_full[one.budget] and not (in_row(probes) and now >= probes.next_at
        and level_now(one.bucket, one.rate, now) + 1 <= one.rate.most * p[GuardNumbers.OVERDRAFT]) then return false end
  end
  return true
end
local probe = is_probe()
local country_probe = probe and (is_full.country or is_full.country_hour) or false
local total_probe = probe and is_full.total or false
passes = passes or probe

local turn = ''
local function answer()
  local flags = 'n' .. (way.warm and 'w' or '') .. (way.outage and 'o' or '') .. (way.total and 'a' or '')
    .. (country_probe and 'c' or '') .. (total_probe and 't' or '')
  return {passes and '0' or '1', flags, table.concat(full, ','), table.concat(reports, ','), turn}
end
if look == '1' or (not passes and is_quiet()) then return answer() end

-- ---- counting ----

if total.started == 0 then
  -- The app is young from now on: that makes other limits.
  total.started = now
  taken = places(of_10k, of_1k, from, way, limits_now(now))
end
count_turn(TURN.START, 1)
turn = string.format(GuardTurn.PACK, int(now), pack_turns())

local function begin_row(probes)
  if not in_row(probes) then probes.gap, probes.next_at = p[GuardNumbers.PROBE_FIRST_MS], now + p[GuardNumbers.PROBE_FIRST_MS] end
  probes.refused = now
  changed[probes] = true
end
-- Two that have no bucket of their own: an address shares the time of its last refusal, a country has another field.
local function press_others()
  if is_full.address_countries then
    for _, one in ipairs(taken) do
      if one.budget == 'address' and press(one.bucket, one.rate, now) then report('tripped', 'address_countries') end
    end
  end
  if is_full.novelty then
    local before = tonumber(redis.call('HGET', country_key, Guard.NOVELTY) or 0)
    if before + PRESSED_MS <= now then report('tripped', 'novelty') end
    redis.call('HSET', country_key, Guard.NOVELTY, int(now))
  end
end
press_others()
for _, one in ipairs(taken) do
  if is_full[one.budget] then
    if press(one.bucket, one.rate, now) then report('tripped', one.budget) end
    if PROBED[one.budget] then begin_row(row_of(one.budget)) end
  end
end

local function note_country()
  local old, count = {}, 0
  for name, at in pairs(from.countries) do
    if at <= now - DAY then old[#old + 1] = name else count = count + 1 end
  end
  for _, name in ipairs(old) do from.countries[name] = nil end
  if from.countries[region] or count < p[GuardNumbers.ADDRESS_COUNTRIES] then from.countries[region] = now end
end

local function send_probe(probes, budget)
  probes.gap = math.min(2 * probes.gap, p[GuardNumbers.PROBE_LAST_MS])
  probes.next_at = now + probes.gap
  changed[probes] = true
  report('probed', budget)
end

-- An alert once a day: by the count that passes the bound.
local function count_novelty()
  local before = is_novel()
  add_day(country.counted, now)
  if not before and is_novel() then report('novelty', 'novelty') end
end

if passes then
  for _, one in ipairs(taken) do fill(one.bucket, one.rate, cost, now) end
  if from then note_country() end
  if country_probe then send_probe(country.probes, 'country') end
  if total_probe then send_probe(total.probes, 'total') end
  count_novelty()
end
-- A refusal begins no record of a block or an address: an attacker would fill the store with them.
local written = {}
if passes or text_10k then written = {block_10k, pack_bucket(of_10k)} end
if passes or text_1k then
  written[#written + 1] = block_1k
  written[#written + 1] = pack_bucket(of_1k)
end
write_buckets(blocks_key, written, country, 'blocks_kept', now)
if from and (passes or from.bucket.at > 0) then
  write_buckets(addresses_key, {address, pack_address(from)}, total, 'addresses_kept', now)
end
write_total(country.is_new, now)
write_country(now, {})
return answer()
