--@ create(batch, token, lease: number, fields: list)
--@ uses batches/upkeep
-- Create a batch with the state `fields`, names and values by turns, or take over as its producer when it exists and
-- nobody else is feeding it. `token` names the producer, which owns the batch for `lease` ms.
-- Touches: schema, batches, active, learnt, batch:{b}:state, and what upkeep touches.
--   state fields  task kind queue slots memory parameter fixed fingerprint retries retry_seconds time_limit max_running rate chunk_seconds priority halt ttl
--                 created submitted_by is_async
--                 epoch stored bytes sha cursor retry_pending input_ended input_ended_by input_cut paused cancelling reason
--                 finished rejected succeeded failed cancelled dead duplicates consumed
--                 measured_seconds measured_items learnt producer producer_until keep_logs log_bytes logs_lost success_halt held_by rate_due
--                 output_dir
-- Returns 'created', 'exists', 'other' (it has another task or other fixed arguments), 'fed' (another producer is
-- feeding it), or 'cancelled' (before all its items were stored).
local now = milliseconds()
upkeep(now)
local b = state(batch, {'producer', 'input_ended', 'task', 'fixed', 'input_cut'}, {'producer_until'})
local values = {}
for i = 1, #fields, 2 do values[fields[i]] = fields[i + 1] end

local function create()
  redis.call('SET', GM .. 'schema', SCHEMA)
  -- The first epoch is one that no deleted batch of this name had: late records of that do not fit.
  redis.call('HSET', key(batch, 'state'), 'created', now, 'epoch', now, 'stored', 0, unpack(fields))
  local learnt = redis.call('HGET', GM .. 'learnt', values.task .. ' ' .. values.fingerprint)
  if learnt then redis.call('HSET', key(batch, 'state'), 'learnt', learnt) end
  redis.call('ZADD', GM .. 'batches', now, batch)
  redis.call('ZADD', GM .. 'active', now, batch)
  redis.call('ZREM', GM .. 'expiring', batch)
end

local answer = 'exists'
if not b.task then
  create()
  answer = 'created'
elseif values.task ~= b.task or values.fixed ~= b.fixed then
  return 'other'
elseif b.input_cut then
  return 'cancelled'
elseif not b.input_ended and b.producer ~= token and b.producer_until > now then
  return 'fed'
end
if not b.input_ended then
  redis.call('HSET', key(batch, 'state'), 'producer', token, 'producer_until', now + lease)
end
return answer
