-- Cancel a batch: nothing more of it is handed out, what does not run becomes cancelled, what runs is recorded.
-- ARGV: prefix, batch, reason, then the workers whose running chunks are cancelled too, for the caller to kill them.
-- Touches: every key of the batch, active.
-- Returns false when the batch is gone or has ended; else {epoch, worker, first:count, …} of the chunks to kill.
local batch, killable = ARGV[2], {}
local b = state(batch, {'task', 'epoch', 'finished'}, {})
if not b.task or b.finished then return false end
for i = 4, #ARGV do killable[ARGV[i]] = true end
return {b.epoch, unpack(cancel(batch, milliseconds(), ARGV[3], killable))}
