--@ retry_item(batch, token, index: number, actor)
--@ uses batches/reopen batches/slowest server/answers server/audit
-- Give back one item that failed, is dead or was cancelled, to be run again.
-- Touches: audit, every key of the batch, active, answer:{token}. Returns `missing` (no such item), `cancelling` (the batch is
-- being cancelled), `succeeded` or `left` (so there is nothing to run again), or `retried`.
local before = answered(token)
if before then return before end
local b = state(batch, {'task', 'queue', 'paused', 'cancelling', 'finished'}, {'created', 'stored', 'cursor'})
if not b.task or index >= b.stored then return 'missing' end
if b.cancelling then return 'cancelling' end
local function bit(part) return redis.call('GETBIT', key(batch, part), index) == 1 end

-- The bitmap that the item is in, and the counter that it counts in.
local function place()
  if bit('cancelled') then return 'cancelled', 'cancelled' end
  local outcome = redis.call('HGET', key(batch, 'out:' .. math.floor(index / BUCKET)), index)
  local header = outcome and string.match(outcome, '^[^\n]*')
  return 'failed', header and cjson.decode(header).state or 'failed'
end

local function is_ahead()
  for _, range in ipairs(ranges_ahead(batch, b.cursor, b.stored)) do
    if range[1] <= index and index < range[1] + range[2] then return true end
  end
  return false
end

if not bit('done') then return remember(token, 'left') end
if not (bit('cancelled') or bit('failed')) then return remember(token, 'succeeded') end
local part, counter = place()
if b.finished then reopen(batch, b.created, b.stored) end
redis.call('SETBIT', key(batch, part), index, 0)
redis.call('SETBIT', key(batch, 'done'), index, 0)
redis.call('HINCRBY', key(batch, 'state'), counter, -1)
if not (part == 'cancelled' and is_ahead()) then
  redis.call('SETBIT', key(batch, 'retry_pending'), index, 1)
  redis.call('HSET', key(batch, 'state'), 'retry_pending', 1)
end
drop_slowest(batch)
count_open(b.queue, b.paused or state(batch, {'waiting'}, {}).waiting, 1)
release(batch, milliseconds())
note_action(actor, 'retry', 'batch', batch, 'item ' .. index)
return remember(token, 'retried')
