--@ retry(batch, token, cancelled: flag, actor)
--@ uses batches/reopen server/answers server/audit
-- Give back the failed and dead items of a batch, to be run again; with `cancelled` the cancelled ones too.
-- Their bits move from one bitmap to another: a few operations on stored/8 bytes, however many they are.
-- Touches: audit, every key of the batch, active, answer:{token}. Returns how many they are, or -1 while the batch is being
-- cancelled.
local before = answered(token)
if before then return tonumber(before) end
local now, parts = milliseconds(), {'failed'}
local b = state(batch, {'task', 'queue', 'paused', 'cancelling', 'finished'},
  {'created', 'stored', 'cursor', 'failed', 'dead', 'cancelled'})
if b.cancelling then return -1 end
local number = b.failed + b.dead
if cancelled then
  parts[2], number = 'cancelled', number + b.cancelled
end
if not b.task or number == 0 then return 0 end

if b.finished then reopen(batch, b.created, b.stored) end
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
count_open(b.queue, b.paused or state(batch, {'waiting'}, {}).waiting, number)
release(batch, now)
note_action(actor, 'retry', 'batch', batch, number .. ' items')
return remember(token, number)
