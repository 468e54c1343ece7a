--@ append(batch, token, lease: number, first: number, after: number, sha, items, values)
--@ uses batches/release
-- Store the next block of a batch's items, first to after-1 (a line each), and release what there is room for. `sha` is the
-- SHA-256 of all items so far, `values` what they are limited by, see flight_counts.lua. Repeating it changes nothing: a client asks again when an answer is lost.
-- Touches: batch:{b}:state, batch:{b}:in, and what release touches.
-- Returns 'stored', 'cancelled', or 'lost' when the batch is gone, fed by another producer, or does not end at `first`.
local now = milliseconds()
local b = state(batch, {'producer', 'queue', 'input_ended', 'task', 'sha', 'input_cut', 'paused', 'waiting'}, {'stored'})
if b.producer == token and b.stored == after and b.sha == sha then
  redis.call('HSET', key(batch, 'state'), 'producer_until', now + lease)
  return 'stored'
end
if b.input_cut then return 'cancelled' end
if not b.task or b.input_ended or b.producer ~= token or b.stored ~= first then return 'lost' end
keep_values(key(batch, 'limit_values'), first, values)
local id = string.format('%d-0', after)
redis.call('XADD', key(batch, 'in'), id, 'first', first, 'sha', sha, 'items', items, 'at', now)
redis.call('HSET', key(batch, 'state'), 'stored', after, 'sha', sha, 'producer_until', now + lease)
redis.call('HINCRBY', key(batch, 'state'), 'bytes', #items)
count_open(b.queue, b.paused or b.waiting, after - first)
release(batch, now)
return 'stored'
