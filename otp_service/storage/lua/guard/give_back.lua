#!lua
-- include: _common.lua
-- include: guard/_counters.lua
-- A number of the app was approved, or its login ended well by another way, or its sends were not needed: give back what
-- they took.
--
-- KEYS total! country! blocks! addresses!
-- ARGV policy region block_10k block_1k why known taken
-- Where why: 'approved', or 'unused' for what was not sent · known '1': the number was known before · taken: `GuardTaken` with
--       commas, what its sends took within the time of a count
-- Reply `GuardReport` with commas
-- Holds each budget is lowered by what the send took, with a credit after an approval; never below empty. It must not run
--       twice for one approval.
local now = clock()
read_country(block_10k)
local approved = why == 'approved'

local function approve()
  if known == '1' then
    set_level(total.known, level_now(total.known, p.outage_known, KNOWN_MS, now) - 2, now)
  else
    add_day(country.approved, now)
    add_day(total.approved, now)
  end
  total.approvals = total.approvals + 1
  redis.call('HSET', country_key, Guard.WARM_BLOCK .. block_10k,
    string.format(GuardWarmBlock.PACK, int(country.first or now), int(now)))
end
if approved then approve() end

local function lower(bucket, amount, limit, window)
  set_level(bucket, level_now(bucket, limit, window, now) - amount, now)
end

local of_10k, of_1k = unpack(redis.call('HMGET', blocks_key, block_10k, block_1k))
of_10k, of_1k = of_10k and read_bucket(of_10k), of_1k and read_bucket(of_1k)

local function give_back_narrow(address, cost)
  if of_10k then lower(of_10k, cost, p.block_10k_a_day, DAY) end
  if of_1k then lower(of_1k, cost, p.block_1k_in_6h, BLOCK_1K_MS) end
  local text = address ~= '-' and redis.call('HGET', addresses_key, address)
  if not text then return end
  local from = read_address(text)
  lower(from.bucket, cost, p.address_an_hour, HOUR)
  from.countries[region] = nil
  redis.call('HSET', addresses_key, address, pack_address(from))
end

local function give_back_wide(amount, warm, outage)
  local limits = limits_now(now)
  if outage then return lower(total.outage, amount, limits.outage, DAY) end
  if warm then
    local factor = p.warm_factor / 2
    lower(country.warm, amount, limits.country * factor, WARM_MS)
    return lower(total.warm, amount, limits.total * factor, WARM_MS)
  end
  set_level(country.cold, cold_level(country.cold, country.probes, limits.country, now) - amount, now)
  lower(country.hour, amount, limits.hour, HOUR)
  set_level(total.cold, cold_level(total.cold, total.probes, limits.total, now) - amount, now)
end

-- A probe converted: the next one comes sooner.
local function quarter(probes, budget, where)
  probes.gap = math.max(p.probe_first_ms, math.floor(probes.gap / 4))
  probes.next_at = math.min(probes.next_at, now + probes.gap)
  report('converted', budget, where)
end

local first = true
for _, address, cost, flags in string.gmatch(taken, GuardTaken.EACH) do
  cost = tonumber(cost)
  local function has(letter) return string.find(flags, letter, 1, true) ~= nil end
  give_back_narrow(address, cost)
  -- The credit is for the person, not for each send.
  give_back_wide(cost + (approved and first and p.credit * cost or 0), has('w'), has('o'))
  first = false
  if approved and has('c') then quarter(country.probes, 'country', region) end
  if approved and has('t') then quarter(total.probes, 'total', '') end
end
local written = {}
if of_10k and of_10k.changed then written = {block_10k, pack_bucket(of_10k)} end
if of_1k and of_1k.changed then
  written[#written + 1] = block_1k
  written[#written + 1] = pack_bucket(of_1k)
end
write_buckets(blocks_key, written, now)
write_total()
write_country()
return table.concat(reports, ',')
