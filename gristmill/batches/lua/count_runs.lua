--@ count_runs(batch, epoch: number, runs: number, token) frees
--@ uses batches/ledger server/answers
-- Count `runs` that nobody will record, because their slot was killed, among the duplicates of the batch that had this
-- `epoch` when they began. Touches: batch:{b}:state, answer:{token}. Returns how many were counted.
local before = answered(token)
if before then return tonumber(before) end
local b = state(batch, {'task'}, {'created', 'epoch'})
-- The epochs of a batch begin with the time at which it was created: those of an earlier batch of that name are lower.
if not b.task or epoch < b.created or epoch > b.epoch then return 0 end
redis.call('HINCRBY', key(batch, 'state'), 'duplicates', runs)
return remember(token, runs)
