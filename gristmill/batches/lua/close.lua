--@ close(batch, token, actor) frees
--@ uses batches/closing server/answers server/audit
-- End the input of an open batch: it ends once all its items have an outcome.
-- Touches: audit, batch:{b}:state, closing, answer:{token}, and what release touches. Returns 'closed', 'ended' when its input had
-- ended before, or 'not_open' when its items do not come by appends.
local before = answered(token)
if before then return before end
local b = state(batch, {'open', 'input_ended'}, {})
if not b.open then return 'not_open' end
if b.input_ended then return 'ended' end
close_batch(batch, milliseconds(), 'close')
note_action(actor, 'close', 'batch', batch)
return remember(token, 'closed')
