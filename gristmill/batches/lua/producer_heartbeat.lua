-- Say that the producer of a batch still lives, or with a lease of 0 that it stops. ARGV: prefix, batch, token, lease in
-- ms. Touches: batch:{b}:state. Returns 'alive', 'cancelled', or 'lost' when the batch is gone or fed by another producer.
-- Its sign of life and its word that the input has ended travel apart: that may come first.
local batch, token, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local b = state(batch, {'producer', 'ended_by', 'cut'}, {})
if b.ended_by == token then return 'alive' end
if b.cut then return 'cancelled' end
if b.producer ~= token then return 'lost' end
redis.call('HSET', key(batch, 'state'), 'producer_until', milliseconds() + lease)
return 'alive'
