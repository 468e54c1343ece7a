--@ uses batches/in_flight
-- What bounds a batch over the fleet. Fields of its state:
--   max_running  how many of its items run at once: n, n% of the items that the slots of its queue run, or +n, so many more
--   held_by      what the last release stopped at, while the batch has more to hand out: max_running
-- A chunk in flight counts as running, from when it is handed out: a process or a thread runs its items one by one. The
-- items of an async task run side by side, so there each item counts that has no outcome yet.
-- Chunks into which the items are cut, at least, that an async task may run at once.
local ASYNC_CHUNKS = 8

-- How many items `max_running` lets run at once, of the `items` that the slots run.
local function most_running(max_running, items)
  local plus, number, share = string.match(max_running, '^(%+?)([%d.]+)(%%?)$')
  if plus == '+' then return math.max(1, items + number) end
  return share == '%' and math.max(1, math.floor(items * number / 100)) or tonumber(number)
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

-- Read the limits of a batch of which the slots of its queue run `places` items at once, or as many chunks.
local function read_limits(batch, b, places)
  b.places = places
  if not b.max_running then return end
  b.most = most_running(b.max_running, places * b.async_items)
  b.running = count_running(batch, b)
end

-- Among how many slots the items left are shared.
local function sharers(b) return b.most and math.min(b.places, b.most) or b.places end

-- Whether the limits let a further chunk be handed out; then it has `b.cap` items at most, if that is a number. What it
-- stops at is `b.stop`.
local function has_room(b)
  if not b.most then return true end
  local room = b.most - b.running
  if room <= 0 then
    if b.most < b.places * b.async_items then b.stop = 'max_running' end
    return false
  end
  if b.is_async then b.cap = math.min(room, math.ceil(b.most / ASYNC_CHUNKS)) end
  return true
end

-- A chunk of so many items was handed out.
local function use_room(b, items)
  if b.most then b.running = b.running + (b.is_async and items or 1) end
end

-- Note what holds a batch that has more to hand out.
local function note_stop(batch, b, has_more)
  local stop = has_more and b.stop or nil
  if stop == b.held_by then return end
  if stop then redis.call('HSET', key(batch, 'state'), 'held_by', stop) else redis.call('HDEL', key(batch, 'state'), 'held_by') end
end
