--@ append_heartbeat(batch, token, producer, lease: number) frees
--@ uses batches/appends
-- Say that the producer of an append still lives, or with a lease of 0 ms that it stops: another may begin at
-- once then. Touches: batch:{b}:appends.
-- Returns 'alive', 'closed', 'cancelled', or 'lost' when the append is another producer's, or has ended.
local append = append_of(batch, token)
if not append or append.producer ~= producer then return 'lost' end
local b = state(batch, {'input_ended', 'input_cut'}, {})
if append.ended then return 'alive' end
append.alive = milliseconds() + lease
if lease == 0 then append.producer = nil end
save_append(batch, token, append)
return b.input_cut and 'cancelled' or b.input_ended and 'closed' or 'alive'
