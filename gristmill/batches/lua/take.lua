--@ take(batch, epoch, first: number, count: number, worker, counting: flag) frees
--@ uses batches/ending batches/contents
-- Begin a chunk: its items, and which of them have an outcome already. `counting` counts how long they waited.
-- Touches: batch:{b}:state, :in_flight, :started, :remainder, :in, :done, :attempts, :retained_inputs, meters:1:{t},
-- meters:open; when it is being cancelled, what settle touches.
-- Returns false when there is nothing to run: the batch is gone, paused or being cancelled, the epoch is over or the
-- chunk is recorded. Else first, count and contents, as names and values by turns, see contents.lua: those of the chunk,
-- or of another one that a slot, now gone, went on with under its message.
local now = milliseconds()
local b = state(batch, {'epoch', 'paused', 'cancelling'}, {})
if b.epoch ~= epoch then return false end
local message = chunk_of(first, count)
local chunk = message
if not redis.call('ZSCORE', key(batch, 'in_flight'), chunk) then
  chunk = chunk_under(batch, message)
  if not chunk then return false end
  first, count = range_of(chunk)
end
if b.paused or b.cancelling then
  leave_flight(batch, flight_state(batch), chunk, now)
  -- Until it is resumed; or cancelled with the rest.
  redis.call('ZADD', key(batch, 'remainder'), first, chunk)
  if b.cancelling then settle(batch, now, {}) end
  release_freed(now)
  return false
end
see_chunk(batch, chunk, now)
start_chunk(batch, chunk, worker, message)
return {'first', first, 'count', count, 'contents', contents(batch, first, count, counting and now)}
