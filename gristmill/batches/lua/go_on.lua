--@ uses batches/release batches/contents
-- Whether a slot that has worked on batch `b` for long leaves its place to others: to messages of other batches or tasks,
-- which wait or run beside it, to what a dead worker held, or to an attempt that is due. Its own message still stands, and
-- its chunk has left flight.
local function gives_way(batch, b, now)
  return standing(b.queue) > redis.call('ZCARD', key(batch, 'in_flight')) + 1
    or redis.call('ZCOUNT', back(b.queue), 0, LEVELS) > 0
    or redis.call('ZCOUNT', key(batch, 'retry'), '-inf', now) > 0
end

-- Give the next chunk to a slot that has just recorded one, under the message at `place` that it still holds: no message
-- has to travel. `worker` runs it, under the message of the chunk `message`; with `alone` only while nothing else waits.
-- Returns first, count and contents, as names and values by turns, or false when there is none, when the slot gives way to
-- others, or when items take so long that it is not worth it; and what it knows of the batch, where that has no limits.
local function go_on(batch, place, worker, message, alone, now, counting)
  local b = releasable(batch)
  local known = b and not b.by_value and #b.limits == 0 and not b.holder and b or nil
  if not b or b.measured_items == 0 or b.measured_seconds / b.measured_items > b.chunk_seconds then return false, known end
  if not has_room(b, now) or alone and gives_way(batch, b, now) then return false, known end
  local before = b.cursor
  local first, count, items = next_piece(batch, b, now)
  if b.cursor > before then redis.call('HSET', key(batch, 'state'), 'cursor', b.cursor) end
  if not first then return false, known end
  use_room(batch, b, items or count, now)
  local chunk = chunk_of(first, count)
  enter_flight(batch, b, chunk, now)
  redis.call('HSET', key(batch, 'message_of'), chunk, place)
  start_chunk(batch, chunk, worker, message)
  return {'first', first, 'count', count, 'contents', contents(batch, first, count, counting and now)}, known
end
