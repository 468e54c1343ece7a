--@ retry(batch, token, cancelled: flag, workflow: flag, actor)
--@ uses batches/reopen batches/slowest server/answers server/audit
-- Give back the failed and dead items of a batch, to be run again; with `cancelled` the cancelled ones too.
-- Their bits move from one bitmap to another: a few operations on stored/8 bytes, however many they are.
-- With `workflow`, the batches that it follows were retried before: it takes what its source records from now on, or has
-- recorded since, and one that was cancelled because another one failed waits again, unless that has failed once more.
-- Touches: audit, every key of the batch, active, answer:{token}. Returns how many they are, or -1 while the batch is being
-- cancelled.
local before = answered(token)
if before then return tonumber(before) end
local now, parts = milliseconds(), {'failed'}
local b = state(batch, {'task', 'queue', 'paused', 'cancelling', 'finished', 'unmet', 'after', 'reason', 'input_cut', 'input_ended_by'},
  {'created', 'stored', 'cursor', 'failed', 'dead', 'cancelled'})
if b.cancelling then return -1 end
if not b.task then return 0 end
-- Whether it was cancelled before it began.
local unbegun = b.finished and b.unmet
if workflow and unbegun then
  if not links.may_come_true(b.created, b.after) then return 0 end
  cancelled = cancelled or b.unmet ~= ''
end
local number = b.failed + b.dead
if cancelled then
  parts[2], number = 'cancelled', number + b.cancelled
end
local takes
if workflow then takes = cancelled or not (b.reason or b.input_cut) else takes = cancelled and b.input_cut end
takes = takes and sources.has_more(batch)
-- Without items, nothing else says that it has something to do.
local renewed = unbegun and cancelled and b.stored == 0
if number == 0 and not takes and not renewed then return 0 end

if b.finished then reopen(batch, b.created, b.stored) end
-- Without the rest of its input, it stays one that was cancelled.
if cancelled and (takes or b.input_ended_by or not b.input_cut) then redis.call('HDEL', key(batch, 'state'), 'reason', 'input_cut') end
for _, part in ipairs(parts) do
  redis.call('BITOP', 'XOR', key(batch, 'done'), key(batch, 'done'), key(batch, part))
  if part == 'cancelled' then
    for _, range in ipairs(ranges_ahead(batch, b.cursor, b.stored)) do fill(key(batch, part), range[1], range[2], 0) end
  end
  redis.call('BITOP', 'OR', key(batch, 'retry_pending'), key(batch, 'retry_pending'), key(batch, part))
  redis.call('DEL', key(batch, part))
  redis.call('HSET', key(batch, 'state'), part, 0)
end
redis.call('HSET', key(batch, 'state'), 'dead', 0, 'retry_pending', 1)
drop_slowest(batch)
count_open(b.queue, b.paused or state(batch, {'waiting'}, {}).waiting, number)
if takes then sources.go_on_taking(batch, now) end
release(batch, now)
finish(batch, now)
note_action(actor, 'retry', 'batch', batch, number .. (number == 1 and ' item' or ' items'))
return remember(token, number)
