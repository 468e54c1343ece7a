--@ record(batch, epoch, first: number, count: number, rest: number, seconds: number, worker, more, times, log_room: number, groups: list, logs: list, slow: list) frees
--@ uses batches/outcomes batches/attempts batches/logs batches/slowest batches/ending batches/go_on
-- Record outcomes of a chunk, each once, then release what there is room for.
--   rest     how many of the chunk's last items go to other slots: handed out anew; -1: the chunk goes on
--   seconds  that the outcomes took, all together
--   more     whether the slot goes on with another chunk: `always`, `alone` (while nothing else waits), or `no`;
--            `begun`: with what it has begun of this one, which is all but `rest`
--   times    the run times, as bucket:items,… of histogram.py, or `off`: they are not counted
--   log_room  bytes that the logs of the batch may have together
--   groups   the outcomes, see outcomes.lua
--   logs     what items wrote, see logs.lua
--   slow     those that may be among the slowest, see slowest.lua
-- Touches: every key of the batch, active, slots, the queue, what count_record touches, and
--   items  hash  worker -> outcomes that it recorded
-- Returns {how many of the outcomes were duplicates, false or what go_on gives (1 if what was begun goes on), false or what
-- note_slowest gives}.
local now, chunk = milliseconds(), chunk_of(first, count)
local outcomes, items
outcomes, items = groups_of(groups)
local log_of, logged = logs_of(logs), {}
local b = state(batch, {'epoch', 'queue', 'task', 'paused', 'cancelling', 'finished', 'halt', 'from_batch', 'has_takers',
  'is_async', 'limit_by', 'max_running', 'task_limit_by', 'task_max_running', 'stuck_after'}, {'priority', 'created',
  'succeeded', 'failed', 'cancelled', 'dead', 'stored', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items',
  'retry_pending'})
if not b.epoch then return {items, false, false} end
if b.epoch ~= epoch then
  redis.call('HINCRBY', key(batch, 'state'), 'duplicates', items)
  return {items, false, false}
end
b.done = done_of(b)
local some_failed = redis.call('EXISTS', key(batch, 'attempts')) == 1
local tally, ended, failed = {succeeded = 0, failed = 0, dead = 0, duplicates = 0}, {}, {}
local retries = 0

-- Record each of the outcomes that is the first of its item, or of its next attempt.
local record_outcomes
do
  local function attempts_of(indexes)
    return some_failed and #indexes > 0 and redis.call('HMGET', key(batch, 'attempts'), unpack(indexes)) or {}
  end

  local function end_items(group)
    ended[#ended + 1] = group
    tally[group.state] = tally[group.state] + group.count
    -- A slot may still have had what `retry` gave back.
    if b.retry_pending > 0 then fill(key(batch, 'retry_pending'), group.first, group.count, 0) end
    note_logs(logged, group, log_of)
  end

  -- Whether no item of a group has an outcome, or has failed before.
  local function untouched(group)
    local after = group.first + group.count
    if redis.call('BITCOUNT', key(batch, 'done'), group.first, after - 1, 'BIT') > 0 then return false end
    local indexes = {}
    for index = group.first, some_failed and after - 1 or -1 do indexes[#indexes + 1] = index end
    for _, attempts in pairs(attempts_of(indexes)) do if attempts then return false end end
    return true
  end

  -- Neighbours that all succeeded at their first attempt, and nothing was known of, are recorded whole; the others are
  -- returned one by one.
  local function record_whole()
    local singles = {}
    for _, group in ipairs(outcomes) do
      if group.state == 'succeeded' and group.attempt == 1 and untouched(group) then
        fill(key(batch, 'done'), group.first, group.count, 1)
        end_items(group)
      else
        split_group(group, singles)
      end
    end
    return singles
  end

  -- Which of the single outcomes end their items. Only the next attempt of an item counts: what `retry` gave back is safe
  -- from late outcomes of attempts before. Attempts that failed, and will be followed by another, are noted.
  local function next_attempts(singles, noted)
    local indexes, finals = {}, {}
    for i, single in ipairs(singles) do indexes[i] = single.first end
    local attempts = attempts_of(indexes)
    for i, single in ipairs(singles) do
      local all, before = tries(attempts[i])
      if single.attempt ~= all + 1 then
        tally.duplicates = tally.duplicates + 1
      elseif not single.delay then
        finals[#finals + 1] = single
      elseif redis.call('GETBIT', key(batch, 'done'), single.first) == 1 then
        tally.duplicates = tally.duplicates + 1
      else
        retries = retries + 1
        noted[#noted + 1], noted[#noted + 2] = single.first, tries_text(single.attempt, before)
        -- Else an item that `retry_item` gave back would be handed out twice.
        if b.retry_pending > 0 then fill(key(batch, 'retry_pending'), single.first, 1, 0) end
        redis.call('ZADD', key(batch, 'retry'), now + single.delay, single.first)
        look_by(batch, now + single.delay)
        note_logs(logged, single, log_of)
      end
    end
    return finals
  end

  -- The guard: an item whose bit is set has its outcome.
  local function record_singles(singles)
    local noted, indexes = {}, {}
    local finals = next_attempts(singles, noted)
    for i, single in ipairs(finals) do indexes[i] = single.first end
    local bits = set_bits(key(batch, 'done'), indexes)
    for i, single in ipairs(finals) do
      if string.byte(bits, i) ~= 48 then
        tally.duplicates = tally.duplicates + 1
      else
        end_items(single)
        redis.call('ZREM', key(batch, 'retry'), single.first)
        if single.state ~= 'succeeded' then
          failed[#failed + 1] = single.first
          noted[#noted + 1], noted[#noted + 2] = single.first, tries_text(single.attempt, single.attempt)
        end
      end
    end
    if #noted > 0 then redis.call('HSET', key(batch, 'attempts'), unpack(noted)) end
  end

  function record_outcomes() record_singles(record_whole()) end
end

local function count_outcomes()
  local done = tally.succeeded + tally.failed + tally.dead
  local fields = {}
  for _, field in ipairs({'succeeded', 'failed', 'dead'}) do
    if tally[field] > 0 then fields[#fields + 1], fields[#fields + 2] = field, string.format('%d', b[field] + tally[field]) end
  end
  if tally.duplicates > 0 then redis.call('HINCRBY', key(batch, 'state'), 'duplicates', tally.duplicates) end
  count_open(b.queue, b.paused, -done)
  if b.stuck_after and done > 0 then fields[#fields + 1], fields[#fields + 2] = 'moved', now end
  if items > 0 then
    -- How long items take, the recent ones counting most.
    for field, value in pairs({measured_seconds = seconds, measured_items = items}) do
      fields[#fields + 1], fields[#fields + 2] = field, b[field] * 0.8 + value
    end
  end
  if #fields > 0 then redis.call('HSET', key(batch, 'state'), unpack(fields)) end
  redis.call('HINCRBY', GM .. 'items', worker, done)
  if times == 'off' then return end
  if b.finished then
    -- What comes after the end is a duplicate, and would outlive the batch.
    count_task(now, b.queue, b.task, {'a', retries, 'd', tally.duplicates})
  else
    count_record(now, batch, b, worker, tally, retries, seconds, times)
  end
end

-- What becomes of the chunk.
local end_chunk, go_on_with_begun
do
  -- Whether each of the chunk's first `span` items has an outcome, or is elsewhere.
  local function accounted(span)
    local done, last = key(batch, 'done'), first + span - 1
    -- As a rule, each has it from this call.
    if span == tally.succeeded + tally.failed + tally.dead then return true end
    if span == 0 or redis.call('BITCOUNT', done, first, last, 'BIT') == span then return true end
    -- Beyond the end of the bitmap, BITPOS finds nothing.
    redis.call('SETBIT', done, last, redis.call('GETBIT', done, last))
    local index = first
    while index <= last do
      index = redis.call('BITPOS', done, 0, index, last, 'BIT')
      if index < 0 then return true end
      local alone = chunk_of(index, 1)
      local elsewhere = redis.call('ZSCORE', key(batch, 'retry'), index)
        or redis.call('GETBIT', key(batch, 'retry_pending'), index) == 1
        or alone ~= chunk and redis.call('ZSCORE', key(batch, 'in_flight'), alone)
      if not elsewhere then return false end
      index = index + 1
    end
    return true
  end

  local function leave_rest()
    redis.call('ZADD', key(batch, 'remainder'), first + count - rest, chunk_of(first + count - rest, rest))
  end

  -- The chunk leaves flight, and what it did not get to is handed out anew. It stays when it has items that are nowhere
  -- else: then it is another chunk of that name, handed out after what is recorded here had ended elsewhere. Returns
  -- whether it left.
  function end_chunk()
    if rest < 0 then see_chunk(batch, chunk, now) return false end
    if not accounted(count - rest) then return false end
    if leave_flight(batch, b, chunk, now) then
      if rest > 0 then leave_rest() end
      return true
    end
    -- The rest was given before, by a call that had no answer: what had begun ends now.
    local begun = chunk_of(first, count - rest)
    if rest > 0 and runner_of(redis.call('HGET', key(batch, 'started'), begun)) == worker then
      leave_flight(batch, b, begun, now)
    end
    return false
  end

  -- What the slot has begun of the chunk becomes a chunk of its own, under the same message at `place`. Returns whether the
  -- worker has that: not if another one has taken the chunk since.
  function go_on_with_begun(place, runner, message)
    local begun = chunk_of(first, count - rest)
    if redis.call('ZSCORE', key(batch, 'in_flight'), begun) then
      -- A call before this one had no answer.
      return runner_of(redis.call('HGET', key(batch, 'started'), begun)) == worker
    end
    if not place or runner ~= worker or not leave_flight(batch, b, chunk, now) then return false end
    leave_rest()
    enter_flight(batch, b, begun, now)
    redis.call('HSET', key(batch, 'message_of'), begun, place)
    start_chunk(batch, begun, worker, message)
    return true
  end
end

record_outcomes()
store_outcomes(batch, ended)
keep_logs(batch, logged, log_of, log_room)
set_bits(key(batch, 'failed'), failed)
count_outcomes()
tell_followers(batch, ended)
if b.has_takers then sources.tell(batch, now) end
if b.from_batch then sources.go_on(batch, b.from_batch, now) end
local threshold = #slow > 0 and note_slowest(batch, slow, ended)
local place = redis.call('HGET', key(batch, 'message_of'), chunk)
local runner, message = runner_of(redis.call('HGET', key(batch, 'started'), chunk))
local left, following = false, false
if more == 'begun' then following = go_on_with_begun(place, runner, message) else left = end_chunk() end
if b.halt and #ended > 0 then heed_halt(batch, now) end
if b.cancelling then settle(batch, now, {}) end
if left and place and runner == worker and more ~= 'no' then
  following, b.known = go_on(batch, place, runner, message, more == 'alone', now, times ~= 'off')
end
release(batch, now, nil, b.known)
release_freed(now)
if b.stored <= b.done + tally.succeeded + tally.failed + tally.dead then finish(batch, now) end
-- A batch that has all its items out leaves room to those that wait for the fleet.
if not redis.call('ZSCORE', wanting(b.queue), batch) then release_wanting(b.queue, 2, now) end
return {tally.duplicates, following, threshold}
