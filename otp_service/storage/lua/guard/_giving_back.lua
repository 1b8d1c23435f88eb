-- Shared by the scripts that give back to the budgets of an app what the sends of a number took. Needs guard/_places.lua,
-- and the time as `now`. The scripts say policy, region, block_10k, block_1k, why, known and taken, see guard/give_back.
read_country(block_10k)
local approved = why == 'approved'

-- Drop some of the blocks of which nobody was approved for long, as `write_buckets` drops old buckets.
local function forget_old_blocks()
  if not is_eighth(block_10k) then return end
  local old, found = {}, redis.call('HRANDFIELD', country_key, LOOKED_AT, 'WITHVALUES')
  for i = 1, #found, 2 do
    local is_block = string.sub(found[i], 1, #Guard.WARM_BLOCK) == Guard.WARM_BLOCK
    local _, last = string.match(found[i + 1], GuardWarmBlock.PARSE)
    if is_block and tonumber(last) < now - p[GuardNumbers.WARM_FOR_MS] then old[#old + 1] = found[i] end
  end
  if #old > 0 then redis.call('HDEL', country_key, unpack(old)) end
end

local function count_approval()
  if known == '1' then
    lower(total.known, known_rate(), 2, now)
  else
    add_day(country.approved, now)
    add_day(total.approved, now)
  end
  total.approvals = total.approvals + 1
  local first = country.first and country.last >= now - p[GuardNumbers.WARM_FOR_MS] and country.first or now
  forget_old_blocks()
  return {Guard.WARM_BLOCK .. block_10k, string.format(GuardWarmBlock.PACK, int(first), int(now))}
end
local of_country = approved and count_approval() or {}
count_turn(not approved and TURN.UNSENT or (known == '1' and taken == '') and TURN.KNOWN_APPROVED or TURN.APPROVED, 1)

local text_10k, text_1k = unpack(redis.call('HMGET', blocks_key, block_10k, block_1k))
local of_10k, of_1k = read_bucket(text_10k), read_bucket(text_1k)

-- A probe converted: the next one comes sooner.
local function convert(budget)
  local probes = row_of(budget)
  probes.gap = math.max(p[GuardNumbers.PROBE_FIRST_MS], math.floor(probes.gap / 4))
  probes.next_at = math.min(probes.next_at, now + probes.gap)
  changed[probes] = true
  report('converted', budget)
end

local function release(address, amount, has)
  local text = address ~= '-' and redis.call('HGET', addresses_key, address) or nil
  local from = text and read_address(text) or nil
  local way = {warm = has('w'), outage = has('o'), total = has('a')}
  for _, one in ipairs(places(of_10k, of_1k, from, way, limits_now(now))) do lower(one.bucket, one.rate, amount, now) end
  if not from then return end
  from.countries[region] = nil
  redis.call('HSET', addresses_key, address, pack_address(from))
end

local first = true
for _, address, cost, flags in string.gmatch(taken, GuardTaken.EACH) do
  local function has(letter) return string.find(flags, letter, 1, true) ~= nil end
  -- The credit is for the person, not for each send.
  release(address, cost * (1 + (approved and first and p[GuardNumbers.CREDIT] or 0)), has)
  if approved and has('c') then convert('country') end
  if approved and has('t') then convert('total') end
  first = false
end
if taken ~= '' then
  local written = text_10k and {block_10k, pack_bucket(of_10k)} or {}
  if text_1k then
    written[#written + 1] = block_1k
    written[#written + 1] = pack_bucket(of_1k)
  end
  if #written > 0 then redis.call('HSET', blocks_key, unpack(written)) end
end
write_total(country.is_new, now)
write_country(now, of_country)
