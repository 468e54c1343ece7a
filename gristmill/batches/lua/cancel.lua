--@ cancel(batch, token, why, actor, killable: list) frees
--@ uses batches/ending server/answers server/audit
-- Cancel a batch: nothing more of it is handed out, what does not run becomes cancelled, what runs is recorded. The chunks
-- that the workers `killable` run are cancelled too, and these workers end them.
-- Touches: audit, every key of the batch, active, answer:{token}, kill:{worker} of those workers.
-- Returns false when the batch is gone or has ended; else {epoch, worker, first:count, …} of the chunks that are ended.
local before = answered(token)
if before then return cjson.decode(before) end
local b = state(batch, {'task', 'epoch', 'finished'}, {})
if not b.task or b.finished then return false end
local workers = {}
for _, worker in ipairs(killable) do workers[worker] = true end
local answer = {b.epoch, unpack(cancel(batch, milliseconds(), why, workers))}
remember(token, cjson.encode(answer))
note_action(actor, 'cancel', 'batch', batch, #killable > 0 and 'kill')
return answer
