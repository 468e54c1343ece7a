--@ cancel_item(batch, token, index: number, why, actor) frees
--@ uses batches/ending server/answers server/audit
-- Cancel one item, whether it runs or not. Where it runs, the worker learns with its next heartbeat to end the run; an
-- outcome that comes all the same is a duplicate.
-- Touches: audit, every key of the batch, active, answer:{token}, kill:{worker} of those that run a chunk with the item.
-- Returns `missing` (no such item), `ended` (it has an outcome), `running` or `waiting`: what it did when it was cancelled.
local before = answered(token)
if before then return before end
local now = milliseconds()
local b = state(batch, {'task', 'queue', 'paused', 'waiting', 'cancelling'}, {'stored'})
if not b.task or index >= b.stored then return 'missing' end
if redis.call('SETBIT', key(batch, 'done'), index, 1) == 1 then return remember(token, 'ended') end
redis.call('SETBIT', key(batch, 'cancelled'), index, 1)
redis.call('HINCRBY', key(batch, 'state'), 'cancelled', 1)
if not b.cancelling then redis.call('HSET', key(batch, 'state'), 'reason', why) end
count_open(b.queue, b.paused or b.waiting, -1)
redis.call('ZREM', key(batch, 'retry'), index)
redis.call('ZREM', key(batch, 'parked'), parked_name(index))
if redis.call('EXISTS', key(batch, 'retry_pending')) == 1 then redis.call('SETBIT', key(batch, 'retry_pending'), index, 0) end

local was = 'waiting'
for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)) do
  local first, count = range_of(chunk)
  local worker = runner_of(redis.call('HGET', key(batch, 'started'), chunk))
  if worker and first <= index and index < first + count then
    note_kill(worker, batch .. '#' .. index)
    was = 'running'
  end
end
if b.cancelling then settle(batch, now, {}) end
finish(batch, now)
note_action(actor, 'cancel', 'batch', batch, 'item ' .. index)
return remember(token, was)
