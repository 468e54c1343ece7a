--@ repair_batch(batch, failures: number, deaths: number, mend: flag) frees
--@ uses batches/ending batches/appends batches/value_repair
-- Compare what a batch has of each thing twice: stored items, counters, places of open items, the sets that it is in. With
-- `mend`, make them agree: an open item that is in no place from which it would be handed out becomes a remainder.
-- `failures` and `deaths` are what repair_items counted: they divide the failed items where the counters cannot.
-- Touches: every key of the batch, batches, active, expiring, due, wanting, pacing, and what release touches.
-- Returns what disagreed and number by turns, and as `more` that some open items have no place yet.
local RUNS_AT_ONCE = 1000
local now, report = milliseconds(), {}
local b

local function note(what, number) report[what] = (report[what] or 0) + number end
local function read()
  b = state(batch, {'task', 'queue', 'finished', 'paused', 'cancelling', 'input_ended', 'input_ended_by', 'input_cut',
    'reason', 'ttl', 'rate', 'submitted_by', 'waiting', 'limit_by', 'max_running', 'task_rate', 'stuck_after',
    'task_limit_by', 'task_max_running', 'from_batch', 'behind'}, {'stored', 'succeeded', 'failed', 'cancelled', 'dead', 'consumed', 'cursor', 'created',
    'retry_pending', 'bytes', 'priority'})
end
local function set(...) if mend then redis.call('HSET', key(batch, 'state'), ...) end end
local function unset(...) if mend then redis.call('HDEL', key(batch, 'state'), ...) end end
local function ones(part) return redis.call('BITCOUNT', key(batch, part)) end

-- A block that is stored counts, even where its count was not written.
local function count_blocks()
  local entries = redis.call('XRANGE', key(batch, 'in'), b.stored + 1, '+')
  if #entries == 0 then return end
  local bytes, last = 0, block_of(entries[#entries])
  for _, entry in ipairs(entries) do
    bytes = bytes + #block_of(entry).items
    if mend then note_append(batch, block_of(entry)) end
  end
  note('items_not_counted', last.after - b.stored)
  set('stored', last.after, 'bytes', b.bytes + bytes, 'sha', last.sha)
  if last.event then set('source_event', last.event, 'source_place', last.place or '') end
  b.stored = last.after
end

-- A cancel that broke off before it was one. A producer goes on.
local function undo_cut()
  if not b.input_cut or b.reason then return end
  note('half_cancelled_input', 1)
  unset('input_cut')
  if not b.input_ended_by then
    unset('input_ended')
    b.input_ended = nil
  end
end

local function count_items()
  local done, failed, cancelled = ones('done'), ones('failed'), ones('cancelled')
  local right = {succeeded = done - failed - cancelled, cancelled = cancelled, consumed = ones('consumed'),
    failed = b.failed, dead = b.dead}
  if b.failed + b.dead ~= failed then
    right.dead = failures == failed and deaths or math.min(b.dead, failed)
    right.failed = failed - right.dead
  end
  for field, number in pairs(right) do
    if b[field] ~= number then
      note('wrong_counters', 1)
      set(field, number)
      b[field] = number
    end
  end
  b.left = b.stored - done
end

-- A batch with open items has not finished; messages of before are void.
local function reopen()
  if not b.finished or b.left == 0 then return end
  note('finished_too_early', 1)
  b.finished = nil
  if not mend then return end
  redis.call('HDEL', key(batch, 'state'), 'finished')
  redis.call('HINCRBY', key(batch, 'state'), 'epoch', 1)
  end_flights(batch)
  redis.call('ZREM', GM .. 'expiring', batch)
  for _, name in ipairs(keys_of(batch, b.stored)) do redis.call('PERSIST', name) end
end

-- A batch that has ended is not being cancelled any more: nobody could retry it.
local function end_cancel()
  if not (b.finished and b.cancelling) then return end
  note('cancel_not_ended', 1)
  unset('cancelling')
  b.cancelling = nil
end

-- The ranges of the chunks in a sorted set; those that no batch of this size has are dropped.
local function ranges_in(part, drop)
  local ranges = {}
  for _, chunk in ipairs(redis.call('ZRANGE', key(batch, part), 0, -1)) do
    local first, count = range_of(chunk)
    if first and first + count <= b.stored then
      ranges[#ranges + 1] = {first, count}
    else
      note('chunks_of_no_items', 1)
      if mend then drop(chunk) end
    end
  end
  return ranges
end

-- What is noted of a chunk goes with the chunk.
local function drop_notes()
  for _, part in ipairs({'message_of', 'started'}) do
    for _, chunk in ipairs(redis.call('HKEYS', key(batch, part))) do
      if not redis.call('ZSCORE', key(batch, 'in_flight'), chunk) then
        note('notes_without_chunk', 1)
        if mend then redis.call('HDEL', key(batch, part), chunk) end
      end
    end
  end
end

-- Nothing is behind the cursor that is handed out already.
local function move_cursor(ranges)
  local behind = math.min(b.cursor, b.stored)
  for _, range in ipairs(ranges) do behind = math.max(behind, range[1] + range[2]) end
  if behind == b.cursor then return end
  note('wrong_cursor', 1)
  set('cursor', behind)
  b.cursor = behind
end

-- Take `bits` out of the bitmap `open`, which is as long as the batch.
local function take_out(open, part)
  local scratch = key(batch, 'scratch')
  local last = b.stored - 1
  if redis.call('EXISTS', part) == 0 then return end
  redis.call('SETBIT', part, last, redis.call('GETBIT', part, last))
  redis.call('BITOP', 'NOT', scratch, part)
  redis.call('BITOP', 'AND', open, open, scratch)
  redis.call('DEL', scratch)
end

-- Items that wait for another attempt have no outcome.
local function clear_waiting()
  for _, index in ipairs(redis.call('ZRANGE', key(batch, 'retry'), 0, -1)) do
    if tonumber(index) >= b.stored or redis.call('GETBIT', key(batch, 'done'), index) == 1 then
      note('waiting_with_outcome', 1)
      if mend then redis.call('ZREM', key(batch, 'retry'), index) end
    end
  end
  local pending = key(batch, 'retry_pending')
  local before = redis.call('BITCOUNT', pending)
  if before == 0 then return end
  local both = key(batch, 'both')
  redis.call('BITOP', 'AND', both, pending, key(batch, 'done'))
  local number = redis.call('BITCOUNT', both)
  redis.call('DEL', both)
  if number > 0 then
    note('waiting_with_outcome', number)
    if mend then take_out(pending, key(batch, 'done')) end
  end
  if b.retry_pending == 0 then
    note('waiting_not_marked', 1)
    set('retry_pending', 1)
    b.retry_pending = 1
  end
end

-- Of a batch that is being cancelled, an item without an outcome runs, or is to be cancelled.
local function count_half_cancelled(flights)
  local running = {}
  for _, range in ipairs(flights) do
    if redis.call('HEXISTS', key(batch, 'started'), chunk_of(unpack(range))) == 1 then running[#running + 1] = range end
  end
  local open = open_items(batch, b.stored, running)
  -- Those whose mark says so were counted with the items.
  take_out(open, key(batch, 'cancelled'))
  local number = redis.call('BITCOUNT', open)
  redis.call('DEL', open)
  if number > 0 then note('half_cancelled', number) end
end

-- The open items that are in no place, as a bitmap that the caller deletes.
local function homeless(ranges)
  local open = open_items(batch, b.stored, ranges)
  take_out(open, key(batch, 'retry_pending'))
  for _, index in ipairs(redis.call('ZRANGE', key(batch, 'retry'), 0, -1)) do redis.call('SETBIT', open, index, 0) end
  for _, name in ipairs(redis.call('ZRANGE', key(batch, 'parked'), 0, -1)) do redis.call('SETBIT', open, tonumber(name), 0) end
  return open
end

-- Put open items that are in no place into `remainder`, range by range.
local function give_places(ranges)
  local open, from, runs = homeless(ranges), 0, 0
  while from < b.cursor do
    local first = redis.call('BITPOS', open, 1, from, b.cursor - 1, 'BIT')
    if first < 0 then break end
    if runs == RUNS_AT_ONCE then report.more = 1 break end
    local after = redis.call('BITPOS', open, 0, first, b.cursor - 1, 'BIT')
    if after < 0 then after = b.cursor end
    note('in_no_place', after - first)
    if mend then redis.call('ZADD', key(batch, 'remainder'), first, chunk_of(first, after - first)) end
    from, runs = after, runs + 1
  end
  redis.call('DEL', open)
end

local function place_items()
  local flights = ranges_in('in_flight', function(chunk) leave_flight(batch, flight_state(batch), chunk) end)
  local rests = ranges_in('remainder', function(chunk) redis.call('ZREM', key(batch, 'remainder'), chunk) end)
  drop_notes()
  clear_waiting()
  value_repair.count(batch, b, mend, note)
  value_repair.place(batch, b, now, mend, note)
  if b.cancelling and b.stored > 0 and b.left > 0 then count_half_cancelled(flights) end
  for _, range in ipairs(rests) do flights[#flights + 1] = range end
  move_cursor(flights)
  -- What is being cancelled is handed out no more.
  if not b.cancelling and b.stored > 0 and b.left > 0 then give_places(flights) end
end

-- Whether the batch is in a set; it is put in, or taken out, where that is wrong.
local function belongs(set_name, score, member)
  local is_in = redis.call('ZSCORE', set_name, batch) and true or false
  if is_in == member then return end
  note('wrong_sets', 1)
  if not mend then return end
  if member then redis.call('ZADD', set_name, score, batch) else redis.call('ZREM', set_name, batch) end
end

local function enter_sets()
  local live = not b.finished
  belongs(GM .. 'batches', b.created, true)
  belongs(GM .. 'active', b.created, live)
  if b.stuck_after then belongs(GM .. 'stalls', now, live) end
  if not live then
    belongs(GM .. 'due', now, false)
    belongs(wanting(b.queue), -1, false)
    if b.ttl and redis.call('PTTL', key(batch, 'state')) < 0 then
      note('wrong_sets', 1)
      if mend then expire(batch, b.ttl, b.stored) end
    end
  elseif b.cancelling then
    belongs(GM .. 'due', now, true)
  elseif not (b.paused or b.waiting) then
    if redis.call('EXISTS', key(batch, 'in_flight'), key(batch, 'retry')) > 0 then belongs(GM .. 'due', now, true) end
    if has_more(batch, b) then
      if not sharing.has(batch, b) then belongs(wanting(b.queue), -1, true) end
      -- Nothing of it runs that would tell when there is room: its rate has to.
      local has_slots = tonumber(redis.call('HGET', GM .. 'slots', b.queue) or 0) > 0
      local alone = not (b.task_rate or b.task_max_running)
      if b.rate and alone and has_slots and redis.call('EXISTS', key(batch, 'in_flight')) == 0 then belongs(GM .. 'pacing', now, true) end
    end
  end
end

read()
if not b.task then return {} end
count_blocks()
undo_cut()
count_items()
reopen()
end_cancel()
if not b.finished then place_items() end
local wrong_links = links.examine(batch, now, mend)
if wrong_links > 0 then
  note('wrong_links', wrong_links)
  read()
end
if sources.is_untold(b) then note('source_not_taken', 1) end
enter_sets()
if notices.is_missed(batch, now, mend) then note('not_told', 1) end
if not b.finished and not b.waiting and b.input_ended and b.left == 0 then note('finished_not_marked', 1) end
if mend and next(report) then
  if report.source_not_taken then sources.take(batch, now) end
  if not b.finished then look_by(batch, now) end
  if b.cancelling then settle(batch, now, {}) end
  release(batch, now)
  finish(batch, now)
end
local flat = {}
for what, number in pairs(report) do flat[#flat + 1], flat[#flat + 2] = what, number end
return flat
