--@ forget(batch, actor) frees
--@ uses batches/ending server/audit
-- Delete every key of a batch, those of lines.lua too; unless another batch waits for its end, or takes its values: then returns its name. Touches: audit, every key of the batch, batches, active, expiring, and what end_release touches.
local b = state(batch, {'task', 'queue', 'paused', 'waiting', 'finished', 'after', 'from_batch'}, COUNTERS)
local dependent = links.waiting_dependent(batch) or takers.needed_by(batch)
if dependent then return dependent end
links.remove(batch, b.after)
sources.remove(batch, b.from_batch, milliseconds())
if b.task and not b.finished then
  count_open(b.queue, b.paused or b.waiting, -left_of(b))
  end_release(batch, b.queue)
end
if redis.call('ZREM', GM .. 'batches', batch) == 1 then note_action(actor, 'delete', 'batch', batch) end
redis.call('ZREM', GM .. 'active', batch)
redis.call('ZREM', GM .. 'expiring', batch)
redis.call('DEL', key(batch, 'listeners'), key(batch, 'lines'))
local names = keys_of(batch, b.stored)
for i = 1, #names, 1000 do redis.call('UNLINK', unpack(names, i, math.min(i + 999, #names))) end
