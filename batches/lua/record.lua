-- Record outcomes of a chunk, each once, then release what the window has room for.
-- ARGV: prefix, batch, epoch, first, count, rest, seconds, worker, then of each outcome: index, state, attempt, text;
--       at the end the run times, as bucket:items,… of batches/histogram.py, or `off`: they are not counted.
--   rest     how many of the chunk's last items are not in here: handed out anew; -1: the chunk goes on
--   seconds  that the outcomes took, all together
--   state    's' succeeded, 'f' failed, 'd' dead, or the ms until the next attempt
-- Touches: every key of the batch, active, what count_record touches, and
--   items  hash  worker -> outcomes that it recorded
-- Returns how many of the outcomes were duplicates.
local runs = table.remove(ARGV)
local batch, epoch, first, count, rest = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local now, outcomes = milliseconds(), (#ARGV - 8) / 4
local b = state(batch, {'epoch', 'queue'},
  {'stored', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items'})
if not b.epoch then return outcomes end
if b.epoch ~= epoch then
  redis.call('HINCRBY', key(batch, 'state'), 'duplicates', outcomes)
  return outcomes
end

local finals, duplicates = {}, 0
local function set_bits(part, arguments)
  if #arguments == 0 then return {} end
  return redis.call('BITFIELD', key(batch, part), unpack(arguments))
end
local function set_bit(arguments, index)
  arguments[#arguments + 1] = 'SET'
  arguments[#arguments + 1] = 'u1'
  arguments[#arguments + 1] = index
  arguments[#arguments + 1] = 1
end

-- 1. The guard: an item whose bit was set has its outcome.
local bits = {}
for i = 9, #ARGV, 4 do
  if tonumber(ARGV[i + 1]) == nil then
    finals[#finals + 1] = i
    set_bit(bits, ARGV[i])
  else
    local index, attempt = ARGV[i], tonumber(ARGV[i + 2])
    if redis.call('GETBIT', key(batch, 'done'), index) == 1
      or attempt ~= tonumber(redis.call('HGET', key(batch, 'attempts'), index) or 0) + 1 then
      duplicates = duplicates + 1
    else
      redis.call('HSET', key(batch, 'attempts'), index, attempt)
      redis.call('ZADD', key(batch, 'retry'), now + tonumber(ARGV[i + 1]), index)
    end
  end
end
local was = set_bits('done', bits)

-- 2. The outcomes of the others, their counters, and their ranges for those who follow.
local buckets, failed, ranges, number = {}, {}, {}, {s = 0, f = 0, d = 0}
local from, to
for n, i in ipairs(finals) do
  local index = tonumber(ARGV[i])
  if was[n] == 1 then
    duplicates = duplicates + 1
  else
    local bucket = math.floor(index / BUCKET)
    buckets[bucket] = buckets[bucket] or {}
    table.insert(buckets[bucket], ARGV[i])
    table.insert(buckets[bucket], ARGV[i + 3])
    number[ARGV[i + 1]] = number[ARGV[i + 1]] + 1
    if ARGV[i + 1] ~= 's' then set_bit(failed, ARGV[i]) end
    if to and index == to + 1 then to = index else
      if from then ranges[#ranges + 1] = from .. '-' .. to end
      from, to = index, index
    end
  end
end
if from then ranges[#ranges + 1] = from .. '-' .. to end
for bucket, fields in pairs(buckets) do
  redis.call('HSET', key(batch, 'out:' .. bucket), unpack(fields))
end
set_bits('failed', failed)
local function count_up(field, amount)
  if amount > 0 then redis.call('HINCRBY', key(batch, 'state'), field, amount) end
end
count_up('succeeded', number.s)
count_up('failed', number.f)
count_up('dead', number.d)
count_up('duplicates', duplicates)
redis.call('HINCRBY', GM .. 'items', ARGV[8], #finals - duplicates)
if #ranges > 0 then redis.call('XADD', key(batch, 'events'), '*', 'ranges', table.concat(ranges, ',')) end
if runs ~= 'off' then count_record(now, batch, ARGV[8], number.s, number.f + number.d, tonumber(ARGV[7]), runs) end

-- 3. How long items take, the recent ones counting most.
if outcomes > 0 then
  b.measured_seconds = b.measured_seconds * 0.8 + tonumber(ARGV[7])
  b.measured_items = b.measured_items * 0.8 + outcomes
  redis.call('HSET', key(batch, 'state'),
    'measured_seconds', b.measured_seconds, 'measured_items', b.measured_items)
end

-- 4. The chunk leaves the window, and what it did not get to is handed out anew.
if rest >= 0 then
  local ours = redis.call('ZREM', key(batch, 'window'), first .. ':' .. count)
  redis.call('HDEL', key(batch, 'sent'), first .. ':' .. count)
  if ours == 1 and rest > 0 then
    redis.call('ZADD', key(batch, 'left'), first + count - rest, (first + count - rest) .. ':' .. rest)
  end
else
  redis.call('ZADD', key(batch, 'window'), 'XX', now, first .. ':' .. count)
end
release(batch, now)
finish(batch, now)
return duplicates
