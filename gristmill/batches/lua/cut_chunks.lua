-- The chunks of a batch: what is cut, handed out, given to slots. What several scripts share.
local CHUNK_ITEMS, CHUNK_BYTES, BLOCKS, UNKNOWN_WINDOW, GROWTH = 1900, 4194304, 16, 16, 4
local LEARNT_ITEMS, LEARNT_TASKS, LEARNT_SECONDS = 20, 1000, 30 * 86400

-- Hand out the items first to first+count-1 as one message. A chunk in the window is somebody's to run.
local function hand_out(batch, b, first, count, now)
  redis.call('ZADD', key(batch, 'window'), now, first .. ':' .. count)
  local args = '[' .. table.concat({MESSAGE_VERSION, cjson.encode(batch), b.epoch, first, count, now}, ',') .. ']'
  local place = put(b.queue, b.priority, 'gristmill.chunk',
    batch .. ':' .. b.epoch .. ':' .. first .. '+' .. count, args, now)
  redis.call('HSET', key(batch, 'sent'), first .. ':' .. count, place)
end

-- Items of a chunk that have no more than CHUNK_BYTES, if they are like the others.
local function most_items(b) return math.min(CHUNK_ITEMS, CHUNK_BYTES * b.stored / math.max(b.bytes, 1)) end

-- Items of the next chunk: about chunk_seconds of work, fewer near the end so that all slots finish together
-- (guided self-scheduling, Polychronopoulos and Kuck 1987), but a fortieth of it at least: a record has its cost too.
-- At most GROWTH times what is measured: the first items may have been unlike the others. While nothing is, one, or a
-- few when an earlier batch of this source says so; these leave all slots enough to do, should items take longer now.
local function chunk_size(b, slots, left)
  if b.measured_items == 0 then
    if b.learnt == 0 then return 1 end
    local share = left / (4 * (slots > 0 and slots or UNKNOWN_WINDOW))
    return math.max(1, math.floor(math.min(b.chunk_seconds / b.learnt, share, LEARNT_ITEMS, most_items(b))))
  end
  local mean = b.measured_seconds / b.measured_items
  local full = mean > 0 and b.chunk_seconds / mean or CHUNK_ITEMS
  local share = math.max(left / (2 * math.max(slots, 1)), full / 40)
  -- Chunks of unlike lengths: slots that began together need not all come back together.
  full = full * (1.25 - b.cursor * 0.618 % 1 / 2)
  local size = math.min(full, share, GROWTH * b.measured_items, most_items(b))
  return math.max(1, math.min(left, math.ceil(size)))
end

-- How long an item takes is learnt for the next batch of a task whose source is the same.
local function learn(task, fingerprint, seconds, items)
  if seconds == 0 then return end
  if redis.call('HLEN', GM .. 'learnt') >= LEARNT_TASKS then redis.call('DEL', GM .. 'learnt') end
  redis.call('HSET', GM .. 'learnt', task .. ' ' .. fingerprint, seconds / items)
  redis.call('EXPIRE', GM .. 'learnt', LEARNT_SECONDS)
end

-- A chunk of about `size` of the items that `retry` gave back, with `most` items in all. It passes over items with an
-- outcome, which `take` leaves out, and over no others: those are somebody else's.
local function range_again(batch, size, most)
  local again, done = key(batch, 'again'), key(batch, 'done')
  local first, span = redis.call('BITPOS', again, 1), 1
  local function count(part, items) return redis.call('BITCOUNT', part, first, first + items - 1, 'BIT') end
  while count(again, span) < size and 2 * span <= most
    and count(again, 2 * span) + count(done, 2 * span) == 2 * span do span = 2 * span end
  fill(again, first, span, 0)
  return first, span
end

-- The next chunk, first and count: of what a chunk did not get to, else of what `retry` gave back, else of the items
-- behind the cursor.
local function next_chunk(batch, b, slots)
  local left = redis.call('ZPOPMIN', key(batch, 'left'))[1]
  if left then
    local first, count = string.match(left, '^(%d+):(%d+)$')
    first, count = tonumber(first), tonumber(count)
    local size = chunk_size(b, slots, count)
    if size < count then
      redis.call('ZADD', key(batch, 'left'), first + size, (first + size) .. ':' .. (count - size))
    end
    return first, size
  end
  if b.again > 0 then
    local waiting = redis.call('BITCOUNT', key(batch, 'again'))
    if waiting > 0 then return range_again(batch, chunk_size(b, slots, waiting), most_items(b)) end
    redis.call('HDEL', key(batch, 'state'), 'again')
    redis.call('DEL', key(batch, 'again'))
    b.again = 0
  end
  if b.cursor < b.stored then
    local first, size = b.cursor, chunk_size(b, slots, b.stored - b.cursor)
    b.cursor = first + size
    return first, size
  end
end

-- What handing out needs of a batch, and the live slots of its queue; nil when nothing of it is to be handed out.
local function flowing(batch)
  local b = state(batch, {'queue', 'epoch', 'paused', 'cancelling'},
    {'stored', 'cursor', 'again', 'priority', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items', 'learnt'})
  if not b.queue or b.paused or b.cancelling then return nil end
  return b, tonumber(redis.call('HGET', GM .. 'slots', b.queue) or 0)
end

-- Fill the window of a batch: items due for another attempt first, then the next ones.
local function release(batch, now)
  local b, slots = flowing(batch)
  if not b then return end
  -- Until one item is measured, a chunk a slot is enough to learn from.
  local width = slots == 0 and UNKNOWN_WINDOW or b.measured_items > 0 and 2 * slots or slots
  local room = width - redis.call('ZCARD', key(batch, 'window'))
  if room <= 0 then return end
  local due = redis.call('ZRANGEBYSCORE', key(batch, 'retry'), '-inf', now, 'LIMIT', 0, room)
  for _, index in ipairs(due) do
    redis.call('ZREM', key(batch, 'retry'), index)
    hand_out(batch, b, index, 1, now)
  end
  local before = b.cursor
  for _ = #due + 1, room do
    local first, count = next_chunk(batch, b, slots)
    if not first then break end
    hand_out(batch, b, first, count, now)
  end
  if b.cursor > before then redis.call('HSET', key(batch, 'state'), 'cursor', b.cursor) end
end

-- What a slot needs to run a chunk: {task, fixed, parameter, retries, retry_seconds, done, attempts, blocks, kept}.
-- done is a text of 0 and 1, one an item; attempts and kept have an entry an item or none at all; each block is
-- {first, items}. They are of fewer items than `count` when these have more than CHUNK_BYTES. Counts how long the items
-- have waited until `now`, unless that is false.
local function contents(batch, first, count, now)
  local b = state(batch, {'queue', 'task', 'fixed', 'parameter', 'retries', 'retry_seconds'}, {})
  local blocks, reached, stored_at, bytes = {}, first, now, 0
  local function add(...)
    local entries = redis.call('XRANGE', key(batch, 'in'), ...)
    for _, entry in ipairs(entries) do
      if bytes >= CHUNK_BYTES then break end
      if #blocks == 0 then stored_at = tonumber(entry[2][8]) or now end
      blocks[#blocks + 1] = {entry[2][2], entry[2][6]}
      reached, bytes = tonumber(string.match(entry[1], '^%d+')), bytes + #entry[2][6]
    end
    return #entries
  end
  while bytes < CHUNK_BYTES and add(reached + 1, first + count, 'COUNT', BLOCKS) == BLOCKS do end
  if bytes < CHUNK_BYTES and reached < first + count then add(first + count + 1, '+', 'COUNT', 1) end
  if bytes >= CHUNK_BYTES then count = math.min(count, reached - first) end
  local function fields(part)
    if redis.call('EXISTS', key(batch, part)) == 0 then return {} end
    local indexes = {}
    for index = first, first + count - 1 do indexes[#indexes + 1] = index end
    return redis.call('HMGET', key(batch, part), unpack(indexes))
  end
  local attempts, kept = fields('attempts'), fields('kept')
  local done, first_time = bits_of(key(batch, 'done'), first, count), 0
  for i = 1, count do
    if string.byte(done, i) == 48 and not attempts[i] then first_time = first_time + 1 end
  end
  if now then count_task(now, b.queue, b.task, {'w' .. bucket(now - stored_at), first_time}) end
  return {b.task, b.fixed, b.parameter, b.retries, b.retry_seconds, done, attempts, blocks, kept}
end

-- Give the next chunk to a slot that has just recorded one, under the message at `place` that it still holds: no message
-- has to travel. `runs` says who that is, as in begun. Returns {first, count, contents}, or false when there is none,
-- or items take so long that it is not worth it.
local function go_on(batch, place, runs, now, counting)
  local b, slots = flowing(batch)
  if not b or b.measured_items == 0 or b.measured_seconds / b.measured_items > b.chunk_seconds then return false end
  local before = b.cursor
  local first, count = next_chunk(batch, b, slots)
  if b.cursor > before then redis.call('HSET', key(batch, 'state'), 'cursor', b.cursor) end
  if not first then return false end
  local chunk = first .. ':' .. count
  redis.call('ZADD', key(batch, 'window'), now, chunk)
  redis.call('HSET', key(batch, 'sent'), chunk, place)
  redis.call('HSET', key(batch, 'begun'), chunk, runs)
  return {first, count, contents(batch, first, count, counting and now)}
end
