-- Say that a batch's input has ended; repeating it changes nothing.
-- ARGV: prefix, batch, token, rejected items. Touches: batch:{b}:state, active, and what release touches.
-- Returns 'ended', 'cancelled', or 'lost' when the batch is gone or fed by another producer.
local batch, token, rejected = ARGV[2], ARGV[3], ARGV[4]
local now = milliseconds()
local b = state(batch, {'producer', 'task', 'ended_by', 'cut'}, {})
if b.task and b.ended_by == token then return 'ended' end
if b.cut then return 'cancelled' end
if not b.task or b.producer ~= token then return 'lost' end
redis.call('HSET', key(batch, 'state'), 'ended', now, 'ended_by', token, 'rejected', rejected)
redis.call('HDEL', key(batch, 'state'), 'producer', 'producer_until')
heed_halt(batch, now)
release(batch, now)
finish(batch, now)
return 'ended'
