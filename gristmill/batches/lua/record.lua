-- Record outcomes of a chunk, each once, then release what the window has room for.
-- ARGV: prefix, batch, epoch, first, count, rest, seconds, worker, more, how many runs, then of each run: first, count,
--       texts (a line each); then of each other outcome: index, state, attempt, text; at the end the run times, as
--       bucket:items,… of histogram.py, or `off`: they are not counted.
--   rest     how many of the chunk's last items are not in here: handed out anew; -1: the chunk goes on
--   seconds  that the outcomes took, all together
--   more     1 when the slot would go on with another chunk
--   run      neighbours that all succeeded at their first attempt, in one hash of outcomes: kept as one field
--   state    's' succeeded, 'f' failed, 'd' dead, or the ms until the next attempt
-- Touches: every key of the batch, active, slots, the queue, what count_record touches, and
--   items  hash  worker -> outcomes that it recorded
-- Returns {how many of the outcomes were duplicates, false or what go_on gives}.
local times = table.remove(ARGV)
local batch, epoch, first, count, rest = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local now, alone = milliseconds(), 11 + 3 * ARGV[10]
local outcomes = (#ARGV - alone + 1) / 4
for i = 11, alone - 1, 3 do outcomes = outcomes + ARGV[i + 1] end
local b = state(batch, {'epoch', 'queue', 'cancelling', 'halt'},
  {'stored', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items'})
if not b.epoch then return {outcomes, false} end
if b.epoch ~= epoch then
  redis.call('HINCRBY', key(batch, 'state'), 'duplicates', outcomes)
  return {outcomes, false}
end

local FINAL = {s = true, f = true, d = true}
local duplicates, number, hashes, ended_here = 0, {s = 0, f = 0, d = 0}, {}, {}
local function keep(index, field, text)
  local hash = math.floor(index / BUCKET)
  hashes[hash] = hashes[hash] or {}
  table.insert(hashes[hash], field)
  table.insert(hashes[hash], text)
end
local function note_end(begin, last, attempt) ended_here[#ended_here + 1] = {begin, last, attempt} end

-- 1. Runs of which nothing has an outcome or has failed before are kept whole; of others, each outcome is looked at.
local some_failed = redis.call('EXISTS', key(batch, 'attempts')) == 1
local function tried_before(indexes)
  return some_failed and redis.call('HMGET', key(batch, 'attempts'), unpack(indexes)) or {}
end
local function untouched(begin, span)
  if redis.call('BITCOUNT', key(batch, 'done'), begin, begin + span - 1, 'BIT') > 0 then return false end
  local indexes = {}
  for index = begin, some_failed and begin + span - 1 or -1 do indexes[#indexes + 1] = index end
  for _, tried in pairs(tried_before(indexes)) do if tried then return false end end
  return true
end
local each = {}
for i = 11, alone - 1, 3 do
  local begin, span, texts = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2]
  if untouched(begin, span) then
    fill(key(batch, 'done'), begin, span, 1)
    keep(begin, span > 1 and begin .. ':' .. span or begin, texts)
    note_end(begin, begin + span - 1, 1)
    number.s = number.s + span
  else
    for text in string.gmatch(texts, '[^\n]+') do
      for _, part in ipairs({begin, 's', '1', text}) do each[#each + 1] = part end
      begin = begin + 1
    end
  end
end
for i = alone, #ARGV do each[#each + 1] = ARGV[i] end

-- 2. The guard: an item whose bit is set has its outcome, and only its next attempt counts: what `retry` gave back
-- is safe from late outcomes of attempts before.
local indexes, finals, ended, attempts = {}, {}, {}, {}
for i = 1, #each, 4 do indexes[#indexes + 1] = each[i] end
local tried = #indexes > 0 and tried_before(indexes) or {}
local function note_attempt(index, text)
  attempts[#attempts + 1] = index
  attempts[#attempts + 1] = text
end
for n, index in ipairs(indexes) do
  local i = 4 * n - 3
  local kind, attempt, all, before = each[i + 1], tonumber(each[i + 2]), tries(tried[n])
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
local was, failed = set_bits(key(batch, 'done'), ended), {}
for n, i in ipairs(finals) do
  local index, kind, attempt = ended[n], each[i + 1], tonumber(each[i + 2])
  if string.byte(was, n) ~= 48 then
    duplicates = duplicates + 1
  else
    keep(index, index, each[i + 3])
    note_end(index, index, attempt)
    number[kind] = number[kind] + 1
    if kind ~= 's' then
      failed[#failed + 1] = index
      note_attempt(index, attempt .. '/' .. attempt)
    end
  end
end

-- 3. What is new: outcomes, counters, and ranges for those who follow: neighbours in one, however they ended.
table.sort(ended_here, function(one, two) return one[1] < two[1] end)
local ranges, from, to, nth = {}, nil, nil, nil
local function end_range()
  if from then ranges[#ranges + 1] = from .. '-' .. to .. (nth > 1 and '@' .. nth or '') end
end
for _, each_end in ipairs(ended_here) do
  local begin, last, attempt = unpack(each_end)
  if to and begin == to + 1 and attempt == nth then to = last else
    end_range()
    from, to, nth = begin, last, attempt
  end
end
end_range()
if #attempts > 0 then redis.call('HSET', key(batch, 'attempts'), unpack(attempts)) end
for hash, fields in pairs(hashes) do
  redis.call('HSET', key(batch, 'out:' .. hash), unpack(fields))
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

-- 4. How long items take, the recent ones counting most.
if outcomes > 0 then
  b.measured_seconds = b.measured_seconds * 0.8 + tonumber(ARGV[7])
  b.measured_items = b.measured_items * 0.8 + outcomes
  redis.call('HSET', key(batch, 'state'),
    'measured_seconds', b.measured_seconds, 'measured_items', b.measured_items)
end

-- 5. The chunk leaves the window, and what it did not get to is handed out anew. It stays when it has items that are
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
