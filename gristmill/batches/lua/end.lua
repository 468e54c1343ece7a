--@ end(batch, token, rejected) frees
--@ uses batches/ending
-- Say that a batch's input has ended; repeating it changes nothing. `rejected` is the number of bad inputs.
-- Touches: batch:{b}:state, active, and what release touches.
-- Returns 'ended', 'cancelled', or 'lost' when the batch is gone or fed by another producer.
local now = milliseconds()
local b = state(batch, {'producer', 'task', 'input_ended_by', 'input_cut'}, {})
if b.task and b.input_ended_by == token then return 'ended' end
if b.input_cut then return 'cancelled' end
if not b.task or b.producer ~= token then return 'lost' end
redis.call('HSET', key(batch, 'state'), 'input_ended', now, 'input_ended_by', token, 'rejected', rejected)
redis.call('HDEL', key(batch, 'state'), 'producer', 'producer_until')
heed_halt(batch, now)
links.heed_unmet(batch, now)
release(batch, now)
finish(batch, now)
return 'ended'
