--@ pause(batch, token, paused: flag, actor) frees
--@ uses batches/ending server/answers server/audit
-- Hand out nothing more of a batch until it is resumed, or resume it.
-- Touches: audit, batch:{b}:state, answer:{token}, and what release touches. Returns 1 when that changed anything, 0 when it was
-- so already, or the batch is gone, has ended or is being cancelled.
local before = answered(token)
if before then return tonumber(before) end
local b = state(batch, {'task', 'paused', 'cancelling', 'finished', 'scheduled_at'}, {})
if paused and b.scheduled_at then
  -- It is held already, and from now on until somebody resumes it.
  forget_time(batch)
  note_action(actor, 'pause', 'batch', batch)
  return remember(token, 1)
end
if not b.task or b.cancelling or b.finished or (b.paused ~= nil) == paused then return 0 end
note_action(actor, paused and 'pause' or 'resume', 'batch', batch)
local now = milliseconds()
set_paused(batch, paused, now)
if not paused then
  look_by(batch, now)
  release(batch, now)
end
return remember(token, 1)
