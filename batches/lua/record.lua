-- Record outcomes of a chunk, each once, then release what the window has room for.
-- ARGV: prefix, batch, epoch, first, count, rest, seconds, worker, more, then of each outcome: index, state, attempt,
--       text; at the end the run times, as bucket:items,… of batches/histogram.py, or `off`: they are not counted.
--   rest     how many of the chunk's last items are not in here: handed out anew; -1: the chunk goes on
--   seconds  that the outcomes took, all together
--   more     1 when the slot would go on with another chunk
--   state    's' succeeded, 'f' failed, 'd' dead, or the ms until the next attempt
-- Touches: every key of the batch, active, slots, the queue, what count_record touches, and
--   items  hash  worker -> outcomes that it recorded
-- Returns {how many of the outcomes were duplicates, false or what go_on gives}.
local times = table.remove(ARGV)
local batch, epoch, first, count, rest = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local now, outcomes = milliseconds(), (#ARGV - 9) / 4
local b = state(batch, {'epoch', 'queue', 'cancelling', 'halt'},
  {'stored', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items'})
if not b.epoch then return {outcomes, false} end
if b.epoch ~= epoch then
  redis.call('HINCRBY', key(batch, 'state'), 'duplicates', outcomes)
  return {outcomes, false}
end

local FINAL = {s = true, f = true, d = true}
local finals, duplicates = {}, 0

-- 1. The guard: an item whose bit is set has its outcome, and only its next attempt counts: what `retry` gave back
-- is safe from late outcomes of attempts before.
local indexes, tried = {}, {}
for i = 10, #ARGV, 4 do indexes[#indexes + 1] = ARGV[i] end
if outcomes > 0 and redis.call('EXISTS', key(batch, 'attempts')) == 1 then
  tried = redis.call('HMGET', key(batch, 'attempts'), unpack(indexes))
end
local ended, attempts = {}, {}
local function note_attempt(index, text)
  attempts[#attempts + 1] = index
  attempts[#attempts + 1] = text
end
for n, index in ipairs(indexes) do
  local i = 6 + 4 * n
  local kind, attempt, all, before = ARGV[i + 1], tonumber(ARGV[i + 2]), tries(tried[n])
  if attempt ~= all + 1 then
    duplicates = duplicates + 1
  elseif FINAL[kind] then
    finals[#finals + 1] = i
    ended[#ended + 1] = tonumber(index)
  elseif redis.call('GETBIT', key(batch, 'done'), index) == 1 then
    duplicates = duplicates + 1
  else
    note_attempt(index, before > 0 and attempt .. '/' .. before or attempt)
    redis.call('ZADD', key(batch, 'retry'), now + tonumber(kind), index)
  end
end
local was = set_bits(key(batch, 'done'), ended)

-- 2. The outcomes of the others, their counters, and their ranges for those who follow.
local buckets, failed, ranges, number = {}, {}, {}, {s = 0, f = 0, d = 0}
local from, to, nth
local function end_range()
  if from then ranges[#ranges + 1] = from .. '-' .. to .. (nth > 1 and '@' .. nth or '') end
end
for n, i in ipairs(finals) do
  local index, attempt = ended[n], tonumber(ARGV[i + 2])
  if string.byte(was, n) ~= 48 then
    duplicates = duplicates + 1
  else
    local bucket = math.floor(index / BUCKET)
    buckets[bucket] = buckets[bucket] or {}
    table.insert(buckets[bucket], ARGV[i])
    table.insert(buckets[bucket], ARGV[i + 3])
    number[ARGV[i + 1]] = number[ARGV[i + 1]] + 1
    if ARGV[i + 1] ~= 's' then
      failed[#failed + 1] = index
      note_attempt(ARGV[i], attempt .. '/' .. attempt)
    end
    if to and index == to + 1 and attempt == nth then to = index else
      end_range()
      from, to, nth = index, index, attempt
    end
  end
end
end_range()
if #attempts > 0 then redis.call('HSET', key(batch, 'attempts'), unpack(attempts)) end
for bucket, fields in pairs(buckets) do
  redis.call('HSET', key(batch, 'out:' .. bucket), unpack(fields))
end
set_bits(key(batch, 'failed'), failed)
local function count_up(field, amount)
  if amount > 0 then redis.call('HINCRBY', key(batch, 'state'), field, amount) end
end
count_up('succeeded', number.s)
count_up('failed', number.f)
count_up('dead', number.d)
count_up('duplicates', duplicates)
redis.call('HINCRBY', GM .. 'items', ARGV[8], number.s + number.f + number.d)
if #ranges > 0 then redis.call('XADD', key(batch, 'events'), '*', 'ranges', table.concat(ranges, ',')) end
if times ~= 'off' then count_record(now, batch, ARGV[8], number.s, number.f + number.d, tonumber(ARGV[7]), times) end

-- 3. How long items take, the recent ones counting most.
if outcomes > 0 then
  b.measured_seconds = b.measured_seconds * 0.8 + tonumber(ARGV[7])
  b.measured_items = b.measured_items * 0.8 + outcomes
  redis.call('HSET', key(batch, 'state'),
    'measured_seconds', b.measured_seconds, 'measured_items', b.measured_items)
end

-- 4. The chunk leaves the window, and what it did not get to is handed out anew. It stays when it has items that are
-- nowhere else: then it is another chunk of that name, handed out after what is recorded here had ended elsewhere.
local chunk = first .. ':' .. count
local function accounted(span)
  local done, last = key(batch, 'done'), first + span - 1
  if span == 0 or redis.call('BITCOUNT', done, first, last, 'BIT') == span then return true end
  -- Beyond the end of the bitmap, BITPOS finds nothing.
  redis.call('SETBIT', done, last, redis.call('GETBIT', done, last))
  local index = first
  while index <= last do
    index = redis.call('BITPOS', done, 0, index, last, 'BIT')
    if index < 0 then return true end
    local alone = index .. ':1'
    local elsewhere = redis.call('ZSCORE', key(batch, 'retry'), index)
      or alone ~= chunk and redis.call('ZSCORE', key(batch, 'window'), alone)
    if not elsewhere then return false end
    index = index + 1
  end
  return true
end
local place, runs = redis.call('HGET', key(batch, 'sent'), chunk), redis.call('HGET', key(batch, 'begun'), chunk)
local left = false
if rest < 0 then
  redis.call('ZADD', key(batch, 'window'), 'XX', now, chunk)
elseif accounted(count - rest) then
  left = leave_window(batch, chunk)
  if left and rest > 0 then
    redis.call('ZADD', key(batch, 'left'), first + count - rest, (first + count - rest) .. ':' .. rest)
  end
end
if b.halt and #failed > 0 then heed_halt(batch, now) end
if b.cancelling then settle(batch, now, {}) end
local following = left and place and runs and ARGV[9] == '1' and go_on(batch, place, runs, now, times ~= 'off')
release(batch, now)
finish(batch, now)
return {duplicates, following}
