-- The ledger of batches: what every script shares. ARGV[1] is the key prefix. Keys, all below {prefix}gm1: :
--   schema              string  version of this layout
--   batches             zset    batch -> created, ms
--   active              set     batches with open items or an input that has not ended
--   slots               hash    queue -> live slots of the fleet
--   batch:{b}:state     hash    see create.lua; counters and everything about the batch that is not per item
--   batch:{b}:in        stream  blocks: id {end}-0; fields first, sha, items (JSON values, a line each)
--   batch:{b}:done      bitmap  items with an outcome: the guard that records each once
--   batch:{b}:failed    bitmap  items that failed or are dead
--   batch:{b}:out:{k}   hash    index -> outcome, of the items 500k to 500k+499
--   batch:{b}:events    stream  ranges of indexes, in the order of their outcomes
--   batch:{b}:attempts  hash    index -> attempts that failed so far
--   batch:{b}:retry     zset    index -> when its next attempt is due, ms
--   batch:{b}:left      zset    first:count of what chunks that ran over did not get to -> first
--   batch:{b}:window    zset    first:count of each chunk handed out -> when it was last put or seen, ms
--   batch:{b}:sent      hash    first:count of each chunk handed out -> where its message is on the queue
local GM = ARGV[1] .. 'gm1:'
local MESSAGE_VERSION, BUCKET = 1, 500
local CHUNK_ITEMS, CHUNK_BYTES, LEAST_WINDOW = 1900, 4194304, 16

local function key(batch, part) return GM .. 'batch:' .. batch .. ':' .. part end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
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

-- Hand out the items first to first+count-1 as one message. A chunk in the window is somebody's to run.
local function hand_out(batch, b, first, count, now)
  redis.call('ZADD', key(batch, 'window'), now, first .. ':' .. count)
  local args = '[' .. table.concat({MESSAGE_VERSION, cjson.encode(batch), b.epoch, first, count, now}, ',') .. ']'
  local place = put(b.queue, 'gristmill.chunk', batch .. ':' .. b.epoch .. ':' .. first .. '+' .. count, args, now)
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

-- The items to hand out next, first and count: those that a chunk did not get to, else those after the cursor.
local function next_range(batch, b)
  local left = redis.call('ZPOPMIN', key(batch, 'left'))[1]
  if left then
    local first, count = string.match(left, '^(%d+):(%d+)$')
    return tonumber(first), tonumber(count)
  end
  if b.cursor < b.stored then return b.cursor, b.stored - b.cursor end
end

-- Fill the window of a batch: items due for another attempt first, then the next ones.
local function release(batch, now)
  local b = state(batch, {'queue', 'epoch', 'paused'},
    {'stored', 'cursor', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items'})
  if not b.queue or b.paused then return end
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
    local first, count = next_range(batch, b)
    if not first then break end
    local size = chunk_size(b, slots, count)
    hand_out(batch, b, first, size, now)
    if first == b.cursor then b.cursor = first + size
    elseif size < count then
      redis.call('ZADD', key(batch, 'left'), first + size, (first + size) .. ':' .. (count - size))
    end
  end
  if b.cursor > before then redis.call('HSET', key(batch, 'state'), 'cursor', b.cursor) end
end

-- Mark the batch as finished when its input has ended and every item has an outcome.
local function finish(batch, now)
  local b = state(batch, {'ended', 'finished'}, {'stored', 'succeeded', 'failed', 'cancelled', 'dead'})
  if b.ended and not b.finished and b.stored == b.succeeded + b.failed + b.cancelled + b.dead then
    redis.call('HSET', key(batch, 'state'), 'finished', now)
    redis.call('SREM', GM .. 'active', batch)
  end
end
