--@ uses batches/ledger batches/bitmaps
-- Outcomes, as `record` gets them and as they are stored.
--   batch:{b}:out:{k}  hash  of the items 500k to 500k+499: index, or first:count of neighbours that ended alike, ->
--                            a header (JSON: state, attempts, worker, pid, seconds: one an item), then values, a line each
-- `record` gets groups, of neighbours that ended alike: first, count, state, attempt, delay (ms until the next attempt;
-- empty for one that ends the item), header, values.
local GROUP_FIELDS = 7

local function groups_of(flat)
  local groups, items = {}, 0
  for i = 1, #flat, GROUP_FIELDS do
    local group = {first = tonumber(flat[i]), count = tonumber(flat[i + 1]), state = flat[i + 2],
      attempt = tonumber(flat[i + 3]), delay = tonumber(flat[i + 4]), header = flat[i + 5], values = flat[i + 6]}
    groups[#groups + 1], items = group, items + group.count
  end
  return groups, items
end

-- A group as groups of one item.
local function split_group(group, singles)
  if group.count == 1 then singles[#singles + 1] = group return end
  local header, index = cjson.decode(group.header), group.first
  local seconds = header.seconds
  for value in string.gmatch(group.values, '[^\n]+') do
    header.seconds = {seconds[index - group.first + 1]}
    singles[#singles + 1] = {first = index, count = 1, state = group.state, attempt = group.attempt, delay = group.delay,
      header = cjson.encode(header), values = value}
    index = index + 1
  end
end

-- Store groups whose items all have their first outcome.
local function store_outcomes(batch, groups)
  local hashes = {}
  for _, group in ipairs(groups) do
    local hash = math.floor(group.first / BUCKET)
    local field = group.count > 1 and group.first .. ':' .. group.count or group.first
    hashes[hash] = hashes[hash] or {}
    table.insert(hashes[hash], field)
    table.insert(hashes[hash], group.header .. '\n' .. group.values)
  end
  for hash, fields in pairs(hashes) do redis.call('HSET', key(batch, 'out:' .. hash), unpack(fields)) end
end

-- Tell those who follow which items ended: neighbours in one range, however they ended.
local function tell_followers(batch, groups)
  if #groups == 0 then return end
  table.sort(groups, function(one, other) return one.first < other.first end)
  local ranges, from, last, attempt = {}, nil, nil, nil
  local function end_range()
    if from then ranges[#ranges + 1] = from .. '-' .. last .. (attempt > 1 and '@' .. attempt or '') end
  end
  for _, group in ipairs(groups) do
    if not last or group.first ~= last + 1 or group.attempt ~= attempt then
      end_range()
      from, attempt = group.first, group.attempt
    end
    last = group.first + group.count - 1
  end
  end_range()
  redis.call('XADD', key(batch, 'events'), '*', 'ranges', table.concat(ranges, ','))
end
