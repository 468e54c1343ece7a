--@ tend(batch) frees
--@ uses batches/upkeep
-- Do what has come due, of the batch first: who waits for it asks for that, because without workers nobody else does.
-- Touches: what upkeep touches.
local now = milliseconds()
local b = state(batch, {'cancelling', 'finished'}, {})
if b.cancelling and not b.finished then settle(batch, now, {}) end
upkeep(now)
