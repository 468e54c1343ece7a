--@ tell_values(batch, epoch, first: number, count: number, values) frees
--@ uses batches/ending
-- Tell by which values the items of a chunk are limited, in place of running them: they are parked, each by its value, and
-- what has room is handed out. `values` has VALUE_BYTES digits for each of the first items; the others are told later.
-- Touches: batch:{b}:limit_values, and what leave_flight, release and, when it is being cancelled, settle touch.
-- Returns 1, or 0 where that is told already, or the chunk is not in flight any more.
local now = milliseconds()
local b = state(batch, {'epoch', 'cancelling'}, {})
if b.epoch ~= epoch or values_of(batch, first, 1)[1] ~= UNTOLD then return 0 end
if not leave_flight(batch, flight_state(batch), chunk_of(first, count), now) then return 0 end
keep_values(key(batch, 'limit_values'), first, values)
park(batch, first, count, now)
if b.cancelling then settle(batch, now, {}) end
release(batch, now)
release_freed(now)
return 1
