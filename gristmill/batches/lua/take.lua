-- Begin a chunk: its items, and which of them have an outcome already.
-- ARGV: prefix, batch, epoch, first, count, worker, whether to count how long they waited (1 or 0).
-- Touches: batch:{b}:state, :window, :sent, :begun, :left, :in, :done, :attempts, :kept, meters:1:{t}, meters:open; when
-- it is being cancelled, what settle touches.
-- Returns false when there is nothing to run: the batch is gone, paused or being cancelled, the epoch is over or the
-- chunk is recorded.
-- Else its contents, see cut_chunks.lua.
local batch, first, count = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local now = milliseconds()
local b = state(batch, {'epoch', 'queue', 'paused', 'cancelling'}, {})
local chunk = first .. ':' .. count
local seen = redis.call('ZSCORE', key(batch, 'window'), chunk)
if b.epoch ~= ARGV[3] or not seen then return false end
if b.paused or b.cancelling then
  leave_window(batch, chunk)
  -- Until it is resumed; or cancelled with the rest.
  redis.call('ZADD', key(batch, 'left'), first, chunk)
  if b.cancelling then settle(batch, now, {}) end
  return false
end
redis.call('ZADD', key(batch, 'window'), 'XX', now, chunk)
redis.call('HSET', key(batch, 'begun'), chunk, ARGV[6] .. ' ' .. chunk)
return contents(batch, first, count, ARGV[7] == '1' and now)
