-- The ledger of batches: what every script shares. ARGV[1] is the key prefix. Keys, all below {prefix}gm1: :
--   schema              string  version of this layout
--   batches             zset    batch -> created, ms
--   active              set     batches with open items or an input that has not ended
--   slots               hash    queue -> live slots of the fleet
--   batch:{b}:state     hash    see create.lua; counters and everything about the batch that is not per item
--   batch:{b}:in        stream  blocks: id {end}-0; fields first, sha, items (JSON values, a line each)
--   batch:{b}:done      bitmap  items with an outcome: the guard that records each once
--   batch:{b}:failed    bitmap  items whose outcome is a failure, dead ones too
--   batch:{b}:cancelled  bitmap  items that were cancelled
--   batch:{b}:again     bitmap  items that `retry` gave back and nobody has been handed yet
--   batch:{b}:out:{k}   hash    index -> outcome, of the items 500k to 500k+499
--   batch:{b}:events    stream  ranges of indexes, in the order of their outcomes; @n behind one: of attempt n
--   batch:{b}:attempts  hash    index -> attempts that failed so far, and /n behind: n of them before its last retry
--   batch:{b}:retry     zset    index -> when its next attempt is due, ms
--   batch:{b}:left      zset    first:count of what chunks that ran over did not get to -> first
--   batch:{b}:window    zset    first:count of each chunk handed out -> when it was last put or seen, ms
--   batch:{b}:sent      hash    first:count of each chunk handed out -> where its message is on the queue
--   batch:{b}:begun     hash    first:count of each chunk that runs -> the worker that took it
local GM = ARGV[1] .. 'gm1:'
local MESSAGE_VERSION, BUCKET = 1, 500
local CHUNK_ITEMS, CHUNK_BYTES, LEAST_WINDOW = 1000, 4194304, 16

local function key(batch, part) return GM .. 'batch:' .. batch .. ':' .. part end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How often an item has failed so far, and how many of those were before it was last given back by `retry`.
local function tries(attempts)
  local all, before = string.match(attempts or '0', '^(%d+)/?(%d*)$')
  return tonumber(all), tonumber(before) or 0
end

-- Some fields of a batch's state; those named in `numbers` as numbers, 0 when missing.
local function state(batch, texts, numbers)
  local names = {}
  for _, name in ipairs(texts) do names[#names + 1] = name end
  for _, name in ipairs(numbers) do names[#names + 1] = name end
  local values, found = redis.call('HMGET', key(batch, 'state'), unpack(names)), {}
  for i, name in ipairs(names) do
    if i > #texts then found[name] = tonumber(values[i] or 0) else found[name] = values[i] or nil end
  end
  return found
end

-- Set the bits first to first+count-1 of a bitmap.
local function fill(bitmap, first, count, bit)
  local arguments = {}
  for at = first, first + count - 1, 32 do
    local width = math.min(32, first + count - at)
    for _, part in ipairs({'SET', 'u' .. width, at, bit * (2 ^ width - 1)}) do arguments[#arguments + 1] = part end
  end
  redis.call('BITFIELD', bitmap, unpack(arguments))
end

-- Take a chunk out of the window; returns whether it was there.
local function leave_window(batch, chunk)
  redis.call('HDEL', key(batch, 'sent'), chunk)
  redis.call('HDEL', key(batch, 'begun'), chunk)
  return redis.call('ZREM', key(batch, 'window'), chunk) == 1
end

-- Hand out the items first to first+count-1 as one message. A chunk in the window is somebody's to run.
local function hand_out(batch, b, first, count, now)
  redis.call('ZADD', key(batch, 'window'), now, first .. ':' .. count)
  local args = '[' .. table.concat({MESSAGE_VERSION, cjson.encode(batch), b.epoch, first, count, now}, ',') .. ']'
  local place = put(b.queue, b.priority, 'gristmill.chunk',
    batch .. ':' .. b.epoch .. ':' .. first .. '+' .. count, args, now)
  redis.call('HSET', key(batch, 'sent'), first .. ':' .. count, place)
end

-- Items of the next chunk: about chunk_seconds of work, fewer near the end so that all slots finish together
-- (guided self-scheduling, Polychronopoulos and Kuck 1987), but a tenth of it at least: a message has its cost too.
-- One while nothing is measured.
local function chunk_size(b, slots, left)
  if b.measured_items == 0 then return 1 end
  local mean = b.measured_seconds / b.measured_items
  local full = mean > 0 and b.chunk_seconds / mean or CHUNK_ITEMS
  local share = math.max(left / (2 * math.max(slots, 1)), full / 10)
  local size = math.min(full, share, CHUNK_ITEMS, CHUNK_BYTES * b.stored / math.max(b.bytes, 1))
  return math.max(1, math.min(left, math.ceil(size)))
end

-- A chunk of about `size` of the items that `retry` gave back. It passes over items with an outcome, which `take`
-- leaves out, and over no others: those are somebody else's.
local function range_again(batch, size)
  local again, done = key(batch, 'again'), key(batch, 'done')
  local first, span = redis.call('BITPOS', again, 1), 1
  local function count(part, items) return redis.call('BITCOUNT', part, first, first + items - 1, 'BIT') end
  while count(again, span) < size and 2 * span <= CHUNK_ITEMS
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
    if waiting > 0 then return range_again(batch, chunk_size(b, slots, waiting)) end
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

-- Fill the window of a batch: items due for another attempt first, then the next ones.
local function release(batch, now)
  local b = state(batch, {'queue', 'epoch', 'paused', 'cancelling'},
    {'stored', 'cursor', 'again', 'priority', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items'})
  if not b.queue or b.paused or b.cancelling then return end
  local slots = tonumber(redis.call('HGET', GM .. 'slots', b.queue) or 0)
  -- Until one item is measured, a chunk a slot is enough to learn from.
  local width = math.max(LEAST_WINDOW, b.measured_items > 0 and 2 * slots or slots)
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
