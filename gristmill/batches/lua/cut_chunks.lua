--@ uses batches/in_flight batches/bitmaps
-- How many items the next chunk of a batch has, and which.
--   batch:{b}:retry_pending  bitmap  items that `retry` gave back and nobody has been handed yet
local CHUNK_ITEMS, GROWTH = 1900, 4
-- Items of an async task that a slot gets, at least, for each one that it can run at once: while a slot records its chunk,
-- or has only its longest items left, the others' waiting items take the places.
local ASYNC_AHEAD, ASYNC_FAST, ASYNC_MOST = 2, 4, 8
local LEARNT_ITEMS, LEARNT_TASKS, LEARNT_SECONDS = 20, 1000, 30 * 86400
-- Work that is not worth a chunk of its own: taking and recording a chunk costs about as much.
local CHUNK_COST_SECONDS = 0.001

-- Items of a chunk that have no more than CHUNK_BYTES, if they are like the others.
local function most_items(b) return math.min(CHUNK_ITEMS, CHUNK_BYTES * b.stored / math.max(b.bytes, 1)) end

-- Items of the next chunk for a slot that runs them one by one: about chunk_seconds of work, fewer near the end so that all slots finish together
-- (guided self-scheduling, Polychronopoulos and Kuck 1987), but a fortieth of it at least: a record has its cost too.
-- At most GROWTH times what is measured: the first items may have been unlike the others. While nothing is, one, or a
-- few when an earlier batch of this source says so; these leave all slots something to do, should items take longer now,
-- unless they are not worth more chunks. If an item takes longer all the same, its slot hands out those behind it anew.
local function sequential_size(b, slots, left)
  local mean = b.measured_items > 0 and b.measured_seconds / b.measured_items or b.learnt
  -- Chunks of unlike lengths: slots that began together need not all come back together.
  local full = (mean > 0 and b.chunk_seconds / mean or CHUNK_ITEMS) * (1.25 - b.cursor * 0.618 % 1 / 2)
  if b.measured_items == 0 then
    if b.learnt == 0 then return 1 end
    local slot_share = left / math.max(slots, 1)
    local share = math.max(slot_share / 4, math.min(full / 40, slot_share), CHUNK_COST_SECONDS / b.learnt)
    return math.max(1, math.min(left, math.floor(math.min(full, share, LEARNT_ITEMS, most_items(b)))))
  end
  local share = math.max(left / (2 * math.max(slots, 1)), full / 40)
  local size = math.min(full, share, GROWTH * b.measured_items, most_items(b))
  return math.max(1, math.min(left, math.ceil(size)))
end

-- Items of the next chunk. Of an async task, a slot runs many items at once, however long they take: at least the ASYNC_AHEAD
-- fold. Where they are fast, up to the ASYNC_MOST fold, since each chunk has its cost; but beyond the ASYNC_FAST fold no more
-- than the slot's share.
local function chunk_size(b, slots, left)
  if b.async_items == 1 then return sequential_size(b, slots, left) end
  local mean = b.measured_items > 0 and b.measured_seconds / b.measured_items or b.learnt
  local fast = mean > 0 and ASYNC_AHEAD * b.chunk_seconds / mean or 0
  local share = math.max(left / math.max(slots, 1), ASYNC_FAST * b.async_items)
  local size = math.min(fast, share, ASYNC_MOST * b.async_items)
  return math.max(1, math.min(left, math.floor(math.max(size, ASYNC_AHEAD * b.async_items)), math.floor(most_items(b))))
end

-- How long an item takes is learnt for the next batch of a task whose source is the same.
local function learn(task, fingerprint, seconds, items)
  if seconds == 0 then return end
  if redis.call('HLEN', GM .. 'learnt') >= LEARNT_TASKS then redis.call('DEL', GM .. 'learnt') end
  redis.call('HSET', GM .. 'learnt', task .. ' ' .. fingerprint, seconds / items)
  redis.call('EXPIRE', GM .. 'learnt', LEARNT_SECONDS)
end

-- No more items than the limits of the batch let through.
local function capped(b, size) return math.min(size, b.cap or size) end

-- A chunk of about `size` of the items that `retry` gave back, with `most` items in all. It passes over items with an
-- outcome, which `take` leaves out, and over no others: those are somebody else's.
local function chunk_to_retry(batch, size, most)
  local pending, done = key(batch, 'retry_pending'), key(batch, 'done')
  local first, span = redis.call('BITPOS', pending, 1), 1
  local function count(part, items) return redis.call('BITCOUNT', part, first, first + items - 1, 'BIT') end
  while count(pending, span) < size and 2 * span <= most
    and count(pending, 2 * span) + count(done, 2 * span) == 2 * span do span = 2 * span end
  local items = count(pending, span)
  fill(pending, first, span, 0)
  return first, span, items
end

-- The next chunk, first and count, and how many items that is where they are fewer: of what a chunk did not get to, else of what `retry` gave back, else of the items
-- behind the cursor.
local function next_chunk(batch, b, slots)
  local remainder = redis.call('ZPOPMIN', key(batch, 'remainder'))[1]
  if remainder then
    local first, count = range_of(remainder)
    local size = capped(b, chunk_size(b, slots, count))
    if size < count then
      redis.call('ZADD', key(batch, 'remainder'), first + size, chunk_of(first + size, count - size))
    end
    return first, size
  end
  if b.retry_pending > 0 then
    local pending = redis.call('BITCOUNT', key(batch, 'retry_pending'))
    if pending > 0 then return chunk_to_retry(batch, capped(b, chunk_size(b, slots, pending)), capped(b, most_items(b))) end
    redis.call('HDEL', key(batch, 'state'), 'retry_pending')
    redis.call('DEL', key(batch, 'retry_pending'))
    b.retry_pending = 0
  end
  if b.cursor < b.stored then
    local first, size = b.cursor, capped(b, chunk_size(b, slots, b.stored - b.cursor))
    b.cursor = first + size
    return first, size
  end
end

-- Whether `next_chunk` would find one.
local function has_more(batch, b)
  return b.cursor < b.stored or b.retry_pending > 0 or redis.call('EXISTS', key(batch, 'remainder'), key(batch, 'parked')) > 0
end
