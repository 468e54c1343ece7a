--@ uses batches/cut_chunks batches/takers server/gcra
-- What bounds the items that are handed out, over the fleet. A batch has limits, and so has its task, in all its batches
-- together; both hold. Fields of a batch's state, those of its task with `task_` before the name:
--   max_running  how many items run at once: n, n% of the items that the slots of its queue run, or +n, so many more
--   rate         how many items are handed out in a time: n/s, n/m or n/h
--   limit_by     the name for each value of which the two hold; without it they hold for all items together
--   rate_due     when the next item of the batch is due by its rate, ms
--   held_by      what the last release stopped at, while the batch has more to hand out: max_running, rate, one of the
--                task, or `batch` and the name of one that takes its values
-- Limits of a task, and those by value, count in sorted sets, by value, or '' where all items count together:
--   limit:{task}:running, batch:{b}:running   zset  value -> items in flight, see flight_counts.lua
--   limit:{task}:rates, batch:{b}:rates       zset  value -> when its next item is due by the rate, ms
--   limit:{task}:waiting:{value}              zset  batches that wait for room, by when they came
--   pacing                                    zset  batch, or task, a space and a value, -> when to release it, ms
-- A chunk in flight counts as running, from when it is handed out: a process or a thread runs its items one by one. The
-- items of an async task run side by side, so there each item counts that has no outcome yet; for the task, until its chunk
-- is recorded.
-- Chunks into which the items are cut, at least, that an async task may run at once.
local ASYNC_CHUNKS = 8
-- By its rate, a chunk has the items of STEP_MS at most. What was not handed out in time is caught up for CATCH_UP_MS, and
-- what was handed out waits for slots up to that of WAITING_MS: together, a burst has the items of a second.
local STEP_MS, CATCH_UP_MS, WAITING_MS = 100, 250, 650
-- Somebody looks that often at batches that wait for items of their task to end, beside those who end them.
local WAITERS_LOOK_MS = 10000
local UNITS_MS = {s = 1000, m = 60000, h = 3600000}

-- How many items `max_running` lets run at once, of the `items` that the slots run.
local function most_running(max_running, items)
  local plus, number, share = string.match(max_running, '^(%+?)([%d.]+)(%%?)$')
  if plus == '+' then return math.max(1, items + number) end
  return share == '%' and math.max(1, math.floor(items * number / 100)) or tonumber(number)
end

local function interval_of(rate)
  local number, unit = string.match(rate, '^(%d+)/(%a)$')
  return UNITS_MS[unit] / number
end

local function count_running(batch, b)
  if not b.is_async then return redis.call('ZCARD', key(batch, 'in_flight')) end
  local items = 0
  for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)) do
    local first, count = range_of(chunk)
    items = items + count - redis.call('BITCOUNT', key(batch, 'done'), first, first + count - 1, 'BIT')
  end
  return items
end

local function waiters_of(task, value) return GM .. 'limit:' .. task .. ':waiting:' .. value end

-- The counts of a limit for one value, as they stand now.
local function read_counts(limit, value)
  limit.value = value
  if limit.most then limit.running = tonumber(redis.call('ZSCORE', limit.at .. 'running', value) or 0) end
  if limit.interval then limit.due = tonumber(redis.call('ZSCORE', limit.at .. 'rates', value) or 0) end
end

-- The limit whose fields begin with `words`, and whose counts begin with `at`; nil where there is none.
local function limit_of(b, words, at)
  local max_running, rate = b[words .. 'max_running'], b[words .. 'rate']
  if not max_running and not rate then return nil end
  return {words = words, at = at, most = max_running and most_running(max_running, b.places * b.async_items),
    interval = rate and interval_of(rate)}
end

-- Read the limits of a batch, of which the slots of its queue run `places` chunks at once: `b.limits` hold for all its
-- items together, `b.value_limits` for each value.
local function read_limits(batch, b, places)
  b.places, b.limits, b.value_limits = places, {}, {}
  b.holder = takers.holder(batch, b)
  local own = limit_of(b, '', GM .. 'batch:' .. batch .. ':')
  local of_task = limit_of(b, 'task_', GM .. 'limit:' .. b.task .. ':')
  if own and b.limit_by then
    b.value_limits[1] = own
  elseif own then
    if own.most then own.running = count_running(batch, b) end
    own.due, own.in_state, b.limits[1] = b.rate_due, true, own
  end
  if of_task and b.task_limit_by then
    b.value_limits[#b.value_limits + 1] = of_task
  elseif of_task then
    read_counts(of_task, '')
    b.limits[#b.limits + 1] = of_task
  end
  b.by_value = #b.value_limits > 0
  if own and own.interval or of_task and of_task.interval then
    b.waiting = redis.call('ZCARD', key(batch, 'in_flight')) - redis.call('HLEN', key(batch, 'started'))
  end
end

-- Among how many slots the items left are shared.
local function sharers(b)
  local slots = b.places
  for _, limit in ipairs(b.limits) do slots = math.min(slots, limit.most or slots) end
  return slots
end

-- Note that a limit lets nothing more be handed out; `when` to look again, where nothing else tells.
local function stop_at(b, limit, word, when)
  b.stop = limit.words .. word
  if limit.words ~= '' then
    b.wait_for, b.wait_until = limit.value, when
  else
    b.again = when or b.again
  end
  return false
end

local function may_run_more(b, limit)
  local room = limit.most - limit.running
  if room <= 0 then
    if limit.most >= b.places * b.async_items and limit.words == '' then return false end
    return stop_at(b, limit, 'max_running')
  end
  if b.is_async then b.cap = math.min(room, math.ceil(limit.most / ASYNC_CHUNKS), b.cap or room) end
  return true
end

local function rate_lets(b, limit, waiting, now)
  local items, wait = gcra(limit.due, now, limit.interval, CATCH_UP_MS)
  local step = math.max(1, math.floor(STEP_MS / limit.interval))
  if items == 0 then return stop_at(b, limit, 'rate', math.ceil(now + wait)) end
  local size = b.by_value and 1 or math.min(step, chunk_size(b, sharers(b), b.stored))
  if waiting * size * limit.interval >= math.max(WAITING_MS, limit.interval) then
    -- Slots are lacking: what waits for them would start in a burst.
    b.again = now + CATCH_UP_MS
    return false
  end
  b.cap = math.min(items, step, b.cap or items)
  return true
end

-- Whether other batches have waited for longer for what the task's limit lets: `b.turn` is the value for which it is this
-- one's turn, or true in a turn of those in line, which have waited for that.
local function others_first(b, limit)
  return limit.words ~= '' and b.turn ~= true and b.turn ~= limit.value and redis.call('EXISTS', waiters_of(b.task, limit.value)) == 1
end

-- Whether one limit lets a further chunk be handed out, while `waiting` chunks of its kind wait for a slot.
local function lets(b, limit, waiting, now)
  if others_first(b, limit) then return stop_at(b, limit, limit.interval and 'rate' or 'max_running') end
  if limit.most and not may_run_more(b, limit) then return false end
  return not limit.interval or rate_lets(b, limit, waiting, now)
end

-- Whether the limits let a further chunk be handed out now; then it has `b.cap` items at most, if that is a number. What it
-- stops at is `b.stop`, and `b.again` when to look again, where nothing else tells.
local function has_room(b, now)
  b.cap = nil
  if b.holder then
    b.stop = b.holder
    return false
  end
  for _, limit in ipairs(b.limits) do
    if not lets(b, limit, b.waiting, now) then return false end
  end
  return true
end

-- So many items were handed out: count them where nothing else does.
local function use_limit(batch, b, limit, items, now)
  if limit.most then limit.running = limit.running + (b.is_async and items or 1) end
  if not limit.interval then return end
  local _, _, due = gcra(limit.due, now, limit.interval, CATCH_UP_MS)
  limit.due = due + items * limit.interval
  local text = string.format('%.4f', limit.due)
  if limit.in_state then return redis.call('HSET', key(batch, 'state'), 'rate_due', text) end
  redis.call('ZADD', limit.at .. 'rates', text, limit.value)
  -- What was due that long ago says nothing any more.
  redis.call('ZREMRANGEBYSCORE', limit.at .. 'rates', '-inf', now - CATCH_UP_MS)
end

-- A chunk of so many items was handed out.
local function use_room(batch, b, items, now)
  for _, limit in ipairs(b.limits) do use_limit(batch, b, limit, items, now) end
  if b.waiting then b.waiting = b.waiting + 1 end
end

-- Have a batch wait for room of its task, for one value: until `when`, or until items of the task end.
local function wait_for_room(batch, b, value, when, now)
  redis.call('ZADD', GM .. 'pacing', 'LT', when or now + WAITERS_LOOK_MS, b.task .. ' ' .. value)
  redis.call('ZADD', waiters_of(b.task, value), 'NX', string.format('%.0f', microseconds()), batch)
end

-- Note what holds a batch that has more to hand out, and when its rate lets it.
local function note_stop(batch, b, has_more, now)
  local stop = has_more and b.stop or nil
  if stop and stop ~= b.held_by then redis.call('HSET', key(batch, 'state'), 'held_by', stop) end
  if b.held_by and not stop then redis.call('HDEL', key(batch, 'state'), 'held_by') end
  if has_more and b.wait_for then wait_for_room(batch, b, b.wait_for, b.wait_until, now) end
  if not b.rate and not b.task_rate then return end
  if has_more and b.again then
    redis.call('ZADD', GM .. 'pacing', b.again, batch)
  else
    redis.call('ZREM', GM .. 'pacing', batch)
  end
end
