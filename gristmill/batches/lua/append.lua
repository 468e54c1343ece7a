-- Store the next block of a batch's items, and release what the window has room for. Repeating it changes nothing: a
-- client asks again when an answer is lost.
-- ARGV: prefix, batch, token, lease in ms, first index, end index, SHA-256 of all items so far, items (a line each).
-- Touches: batch:{b}:state, batch:{b}:in, and what release touches.
-- Returns 'stored', 'cancelled', or 'lost' when the batch is gone, fed by another producer, or does not end at `first`.
local batch, token, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local first, last, sha, items = tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
local now = milliseconds()
local b = state(batch, {'producer', 'ended', 'task', 'sha', 'cut'}, {'stored'})
if b.producer == token and b.stored == tonumber(last) and b.sha == sha then
  redis.call('HSET', key(batch, 'state'), 'producer_until', now + lease)
  return 'stored'
end
if b.cut then return 'cancelled' end
if not b.task or b.ended or b.producer ~= token or b.stored ~= first then return 'lost' end
redis.call('XADD', key(batch, 'in'), last .. '-0', 'first', first, 'sha', sha, 'items', items, 'at', now)
redis.call('HSET', key(batch, 'state'), 'stored', last, 'sha', sha, 'producer_until', now + lease)
redis.call('HINCRBY', key(batch, 'state'), 'bytes', #items)
release(batch, now)
return 'stored'
