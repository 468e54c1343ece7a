--@ uses batches/cut_chunks batches/attempts broker/queue
-- Handing out chunks: what is in flight of each batch follows the slots of the fleet. Two sets say which batches wait for
-- that, so that nobody has to walk all of them:
--   wanting:{q}  zset  batch with items that are not handed out -> slots for which it was last released
--   due          zset  batch -> when somebody has to look at it, ms: an attempt is due, a chunk's message may
--                      be gone, a chunk that ran when the batch was cancelled may have lost its worker
local MESSAGE_VERSION = 2
-- Messages that one release, and one call in all, hand out at most: no script may occupy the server for long.
local RELEASE_MOST, CALL_MOST = 250, 500
-- Milliseconds between two looks at the messages of a batch, at least, and for each batch that is active.
local LOOK_MS, LOOK_MS_EACH = 3000, 40

local function wanting(queue) return GM .. 'wanting:' .. queue end

-- Have somebody look at the batch at `when` at the latest.
local function look_by(batch, when) redis.call('ZADD', GM .. 'due', 'LT', when, batch) end

local function next_look(now)
  return now + math.max(LOOK_MS, LOOK_MS_EACH * redis.call('ZCARD', GM .. 'active'))
end

-- The id of a chunk's message.
local function message_id(batch, epoch, first, count) return batch .. ':' .. epoch .. ':' .. first .. '+' .. count end

-- Hand out the items first to first+count-1 as one message.
local function hand_out(batch, b, first, count, now)
  local chunk = chunk_of(first, count)
  enter_flight(batch, b.queue, chunk, now)
  local args = '[' .. table.concat({MESSAGE_VERSION, cjson.encode(batch), b.epoch, first, count, now}, ',') .. ']'
  local id = message_id(batch, b.epoch, first, count)
  redis.call('HSET', key(batch, 'message_of'), chunk, put(b.queue, b.priority, 'gristmill.chunk', id, args, now))
end

-- What handing out needs of a batch, and the live slots of its queue; nil when nothing of it is to be handed out.
local function releasable(batch)
  local b = state(batch, {'queue', 'epoch', 'paused', 'cancelling', 'finished', 'is_async'}, {'stored', 'cursor', 'retry_pending',
    'priority', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items', 'learnt'})
  if not b.queue or b.paused or b.cancelling or b.finished then return nil end
  b.async_items = tonumber(b.is_async and redis.call('HGET', GM .. 'async_items', b.queue) or 1)
  return b, tonumber(redis.call('HGET', GM .. 'slots', b.queue) or 0)
end

-- Hand out items that are due for another attempt, `most` at most; returns how many.
local function release_due(batch, b, most, now)
  local due = redis.call('ZRANGEBYSCORE', key(batch, 'retry'), '-inf', now, 'LIMIT', 0, most)
  for _, index in ipairs(due) do
    redis.call('ZREM', key(batch, 'retry'), index)
    hand_out(batch, b, index, 1, now)
  end
  return #due
end

-- Fill what is in flight of a batch: items due for another attempt first, then the next ones. Without workers nothing is
-- handed out: how to cut chunks depends on who is there. Returns how many messages it put.
local function release(batch, now)
  local b, slots = releasable(batch)
  if not b then return 0 end
  -- Until one item is measured, a chunk a slot is enough to learn from.
  local width = b.measured_items > 0 and 2 * slots or slots
  local room = width - redis.call('ZCARD', key(batch, 'in_flight'))
  local most = math.min(room, RELEASE_MOST)
  local before, number = b.cursor, 0
  if most > 0 then number = release_due(batch, b, most, now) end
  while number < most do
    local first, count = next_chunk(batch, b, slots)
    if not first then break end
    hand_out(batch, b, first, count, now)
    number = number + 1
  end
  if b.cursor > before then redis.call('HSET', key(batch, 'state'), 'cursor', b.cursor) end
  if number > 0 then look_by(batch, next_look(now)) end
  if has_more(batch, b) then
    -- One whose room was not filled wants to be released again, whatever the slots.
    redis.call('ZADD', wanting(b.queue), room > most and -1 or slots, batch)
  else
    redis.call('ZREM', wanting(b.queue), batch)
  end
  return number
end

-- Release batches that want more since the fleet of their queue grew, oldest wish first; `most` messages about.
local function release_wanting(queue, most, now)
  local slots = tonumber(redis.call('HGET', GM .. 'slots', queue) or 0)
  if slots == 0 then return end
  for _, batch in ipairs(redis.call('ZRANGE', wanting(queue), '-inf', '(' .. slots, 'BYSCORE', 'LIMIT', 0, most)) do
    if most <= 0 then return end
    redis.call('ZREM', wanting(queue), batch)
    most = most - 1 - release(batch, now)
  end
end
