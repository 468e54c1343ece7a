--@ producer_heartbeat(batch, token, lease: number) frees
--@ uses batches/ledger
-- Say that the producer of a batch still lives, or with a lease of 0 ms that it stops: another may begin at once then.
-- Touches: batch:{b}:state. Returns 'alive', 'cancelled', or 'lost' when the batch is gone or fed by another producer.
-- Its sign of life and its word that the input has ended travel apart: that may come first.
local b = state(batch, {'producer', 'input_ended_by', 'input_cut'}, {})
if b.input_ended_by == token then return 'alive' end
if b.input_cut then return 'cancelled' end
if b.producer ~= token then return 'lost' end
redis.call('HSET', key(batch, 'state'), 'producer_until', milliseconds() + lease)
if lease == 0 then redis.call('HDEL', key(batch, 'state'), 'producer') end
return 'alive'
