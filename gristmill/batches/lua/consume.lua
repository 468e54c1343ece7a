--@ consume(batch, created, after, upto, below: number, ranges: list) frees
--@ uses batches/takers batches/blocks batches/bitmaps batches/logs
-- Remove results that somebody has read: the outcomes of succeeded items, and the events and blocks of which nothing is
-- needed any more. Failed, dead and cancelled items stay; when their block goes, their input moves to `retained_inputs`. The
-- other bitmaps stay, so that nothing is recorded twice. Repeating it changes nothing.
--   created  when the batch was created
--   after    the event to begin behind    upto  the last event
--   below    the index that whole events are below
--   ranges   the succeeded items that were read: first-last
-- Touches: batch:{b}:state, :done, :failed, :cancelled, :attempts, :out:{k}, :events, :in, :logs, and
--   batch:{b}:consumed         bitmap  succeeded items whose result was removed
--   batch:{b}:retained_inputs  hash    index -> item, of failed, dead and cancelled items whose block was removed
-- Returns the event to go on behind.
local EVENTS_AT_ONCE = 100
-- A batch that was forgotten meanwhile, and submitted anew, has other results than those that were read.
if state(batch, {'created'}, {}).created ~= created then return after end

-- Another batch has not taken the results as its items yet: they stay.
if takers.needed_by(batch, true) then return after end

local function bits(part, first, last) return redis.call('BITCOUNT', key(batch, part), first, last, 'BIT') end
-- Items that may be run again.
local function staying(first, last) return bits('failed', first, last) + bits('cancelled', first, last) end

local function ranges_of(text)
  local ranges = {}
  for range in string.gmatch(text, '[^,]+') do
    local first, last = string.match(range, '^(%d+)-(%d+)')
    ranges[#ranges + 1] = {tonumber(first), tonumber(last)}
  end
  return ranges
end

local function mark(part, first, last) fill(key(batch, part), first, last - first + 1, 1) end

-- 1. Outcomes of one hash. A field goes with the last of its items.
local removed, walked = 0, {}
local function remove_outcomes(out)
  local fields, fully = redis.call('HKEYS', out), {}
  for _, field in ipairs(fields) do
    local begin, span = string.match(field, '^(%d+):?(%d*)$')
    span = tonumber(span) or 1
    if bits('consumed', begin, begin + span - 1) == span then fully[#fully + 1] = field end
  end
  -- One of a compact hash's fields after another costs a copy of the rest each.
  if #fully == #fields then redis.call('UNLINK', out)
  elseif #fully > 0 then redis.call('HDEL', out, unpack(fully)) end
end
local function remove(first, last)
  local count = last - first + 1
  if bits('done', first, last) < count or staying(first, last) > 0 then return end
  local indexes = {}
  for index = first, last do indexes[#indexes + 1] = index end
  for part in string.gmatch('attempts retained_inputs', '%S+') do redis.call('HDEL', key(batch, part), unpack(indexes)) end
  drop_logs(batch, indexes)
  removed = removed + count - bits('consumed', first, last)
  mark('consumed', first, last)
  local out = key(batch, 'out:' .. math.floor(first / BUCKET))
  -- Who follows has read what was recorded together. Else the hash is walked, once for all ranges.
  if redis.call('HDEL', out, count > 1 and first .. ':' .. count or first) == 0 then walked[out] = true end
end
for _, range in ipairs(ranges) do
  local first, last = unpack(ranges_of(range)[1])
  while first <= last do
    local upto_here = math.min(last, first - first % BUCKET + BUCKET - 1)
    remove(first, upto_here)
    first = upto_here + 1
  end
end
for out in pairs(walked) do remove_outcomes(out) end
if removed > 0 then redis.call('HINCRBY', key(batch, 'state'), 'consumed', removed) end

-- 2. Blocks of items that all are consumed or stay, and events of items that all are consumed.
local function retain(first, items)
  local index = first
  for item in string.gmatch(items, '[^\n]+') do
    if staying(index, index) > 0 then redis.call('HSET', key(batch, 'retained_inputs'), index, item) end
    index = index + 1
  end
end
local function drop_blocks(first, last)
  local blocks = {}
  for i, entry in ipairs(redis.call('XRANGE', key(batch, 'in'), first + 1, last)) do blocks[i] = block_of(entry) end
  blocks[#blocks + 1] = block_with(batch, last)
  for _, block in ipairs(blocks) do
    local stay = staying(block.first, block.after - 1)
    if stay + bits('consumed', block.first, block.after - 1) == block.after - block.first then
      if stay > 0 then retain(block.first, block.items) end
      redis.call('XDEL', key(batch, 'in'), block.id)
    end
  end
end
for _, event in ipairs(redis.call('XRANGE', key(batch, 'events'), '(' .. after, upto, 'COUNT', EVENTS_AT_ONCE)) do
  local ranges, needed = ranges_of(event[2][2]), 0
  for _, range in ipairs(ranges) do
    if range[2] >= below then return after end
    needed = needed + range[2] - range[1] + 1 - bits('consumed', range[1], range[2])
  end
  for _, range in ipairs(ranges) do drop_blocks(range[1], range[2]) end
  if needed == 0 then redis.call('XDEL', key(batch, 'events'), event[1]) end
  after = event[1]
end

-- What is written after a batch has ended lives no longer than the rest of it.
local left = redis.call('PTTL', key(batch, 'state'))
if left > 0 then
  for part in string.gmatch('consumed retained_inputs', '%S+') do redis.call('PEXPIRE', key(batch, part), left) end
end
return after
