--@ create(batch, token, lease: number, fields: list)
--@ uses batches/upkeep batches/new_batch
-- Create a batch with the state `fields`, names and values by turns, or take over as its producer when it exists and
-- nobody else is feeding it. `token` names the producer, which owns the batch for `lease` ms.
-- Touches: schema, batches, active, learnt, batch:{b}:state, and what upkeep touches.
--   state fields  task kind queue slots memory parameter fixed fingerprint retries retry_seconds time_limit max_running rate chunk_seconds priority halt ttl
--                 created submitted_by is_async
--                 epoch stored bytes sha cursor retry_pending input_ended input_ended_by input_cut paused cancelling reason
--                 finished rejected succeeded failed cancelled dead duplicates consumed
--                 measured_seconds measured_items learnt producer producer_until keep_logs log_bytes logs_lost success_halt held_by rate_due
--                 output_dir open close_after dedupe_by after waiting unmet superseded has_dependents
--                 from_batch from_states flatten source_event source_place behind has_takers schedule labels
--                 notify stuck_after moved stuck halted notice
-- Returns 'created', 'exists', 'other' (it has another task, other fixed arguments or another source), 'fed' (another
-- producer is feeding it), 'open' (its items come by open.lua and add.lua), 'cancelled' (before all its items were stored),
-- or 'missing', `after` or `from_batch`, and a name, when it is to follow a batch that is not there.
local now = milliseconds()
upkeep(now)
local b = state(batch, {'producer', 'input_ended', 'task', 'fixed', 'input_cut', 'open', 'from_batch'}, {'producer_until'})
local values = named(fields)

local answer = 'exists'
if not b.task then
  local missing = missing_batch(values)
  if missing then return missing end
  create_batch(batch, fields, now)
  answer = 'created'
elseif values.task ~= b.task or values.fixed ~= b.fixed or values.from_batch ~= b.from_batch then
  return 'other'
elseif b.open then
  return 'open'
elseif b.input_cut then
  return 'cancelled'
elseif not b.input_ended and b.producer and b.producer ~= token and silence.ends_after_gap(b.producer_until, lease, now) > now then
  return 'fed'
end
if not b.input_ended and not values.from_batch then
  redis.call('HSET', key(batch, 'state'), 'producer', token, 'producer_until', now + lease)
end
return answer
