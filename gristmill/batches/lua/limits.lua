--@ uses batches/cut_chunks batches/takers server/gcra
-- What bounds a batch over the fleet. Fields of its state:
--   max_running  how many of its items run at once: n, n% of the items that the slots of its queue run, or +n, so many more
--   rate         how many of its items are handed out in a time: n/s, n/m or n/h
--   rate_due     when the next item is due by its rate, ms
--   held_by      what the last release stopped at, while the batch has more to hand out: max_running, rate, or
--                `batch` and the name of one that takes its values
-- A chunk in flight counts as running, from when it is handed out: a process or a thread runs its items one by one. The
-- items of an async task run side by side, so there each item counts that has no outcome yet.
--   pacing       zset  batch -> when its rate lets more of its items be handed out, ms
-- Chunks into which the items are cut, at least, that an async task may run at once.
local ASYNC_CHUNKS = 8
-- By its rate, a chunk has the items of STEP_MS at most. What was not handed out in time is caught up for CATCH_UP_MS, and
-- what was handed out waits for slots up to that of WAITING_MS: together, a burst has the items of a second.
local STEP_MS, CATCH_UP_MS, WAITING_MS = 100, 250, 650
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

-- Read the limits of a batch, of which the slots of its queue run `places` chunks at once.
local function read_limits(batch, b, places)
  b.places = places
  b.holder = takers.holder(batch, b)
  if b.max_running then
    b.most = most_running(b.max_running, places * b.async_items)
    b.running = count_running(batch, b)
  end
  if b.rate then
    b.interval = interval_of(b.rate)
    b.waiting = redis.call('ZCARD', key(batch, 'in_flight')) - redis.call('HLEN', key(batch, 'started'))
  end
end

-- Among how many slots the items left are shared.
local function sharers(b) return b.most and math.min(b.places, b.most) or b.places end

local function may_run_more(b)
  local room = b.most - b.running
  if room <= 0 then
    if b.most < b.places * b.async_items then b.stop = 'max_running' end
    return false
  end
  if b.is_async then b.cap = math.min(room, math.ceil(b.most / ASYNC_CHUNKS)) end
  return true
end

local function rate_lets(b, now)
  local items, wait = gcra(b.rate_due, now, b.interval, CATCH_UP_MS)
  local step = math.max(1, math.floor(STEP_MS / b.interval))
  if items == 0 then
    b.stop, b.again = 'rate', math.ceil(now + wait)
    return false
  end
  local size = math.min(step, chunk_size(b, sharers(b), b.stored))
  if b.waiting * size * b.interval >= math.max(WAITING_MS, b.interval) then
    -- Slots are lacking: what waits for them would start in a burst.
    b.again = now + CATCH_UP_MS
    return false
  end
  b.cap = math.min(items, step, b.cap or items)
  return true
end

-- Whether the limits let a further chunk be handed out now; then it has `b.cap` items at most, if that is a number. What it
-- stops at is `b.stop`, and `b.again` when to look again, where nothing else tells.
local function has_room(b, now)
  b.cap = nil
  if b.holder then
    b.stop = b.holder
    return false
  end
  if b.most and not may_run_more(b) then return false end
  return not b.interval or rate_lets(b, now)
end

-- A chunk of so many items was handed out.
local function use_room(batch, b, items, now)
  if b.most then b.running = b.running + (b.is_async and items or 1) end
  if not b.interval then return end
  local _, _, due = gcra(b.rate_due, now, b.interval, CATCH_UP_MS)
  b.rate_due, b.waiting = due + items * b.interval, b.waiting + 1
  redis.call('HSET', key(batch, 'state'), 'rate_due', string.format('%.4f', b.rate_due))
end

-- Note what holds a batch that has more to hand out, and when its rate lets it.
local function note_stop(batch, b, has_more)
  local stop = has_more and b.stop or nil
  if stop and stop ~= b.held_by then redis.call('HSET', key(batch, 'state'), 'held_by', stop) end
  if b.held_by and not stop then redis.call('HDEL', key(batch, 'state'), 'held_by') end
  if not b.interval then return end
  if has_more and b.again then
    redis.call('ZADD', GM .. 'pacing', b.again, batch)
  else
    redis.call('ZREM', GM .. 'pacing', batch)
  end
end
