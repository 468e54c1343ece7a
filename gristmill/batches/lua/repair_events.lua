--@ repair_events(batch, ranges: list) frees
--@ uses batches/ledger
-- Tell those who follow of outcomes of which no event tells: ranges of indexes, first-last or first-last@attempt.
-- Touches: batch:{b}:events.
redis.call('XADD', key(batch, 'events'), '*', 'ranges', table.concat(ranges, ','))
local left = redis.call('PTTL', key(batch, 'state'))
if left > 0 then redis.call('PEXPIRE', key(batch, 'events'), left) end
