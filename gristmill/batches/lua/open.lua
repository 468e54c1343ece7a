--@ open(batch, token, producer, lease: number, fields: list)
--@ uses batches/upkeep batches/new_batch batches/appends
-- Begin to append to an open batch, or go on with the append `token`, which `producer` owns for `lease` ms from now. Create
-- the batch, if there is none, with the state `fields`, names and values by turns.
-- Touches: batch:{b}:appends, closing, and what create touches.
-- Returns the fields of the append as JSON, with `status`: 'created', 'open', 'other' (the batch has another task or other
-- fixed arguments), 'not_open' (its items do not come by appends), 'dedupe' (it is deduplicated by another parameter, or by
-- none), 'closed', 'cancelled', or 'fed' (another producer goes on with this append).
local now, values = milliseconds(), named(fields)
upkeep(now)
local b = state(batch, {'task', 'fixed', 'open', 'dedupe_by', 'input_ended', 'input_cut'}, {})

local function refusal(append)
  if values.task ~= b.task or values.fixed ~= b.fixed then return 'other' end
  if not b.open then return 'not_open' end
  if values.dedupe_by and values.dedupe_by ~= b.dedupe_by then return 'dedupe' end
  if append and append.ended then return nil end
  if b.input_cut then return 'cancelled' end
  if b.input_ended then return 'closed' end
  return append and append.producer and append.producer ~= producer and silence.ends_after_gap(append.alive, lease, now) > now and 'fed' or nil
end

local status = 'open'
if not b.task then
  create_batch(batch, fields, now)
  status, b.dedupe_by = 'created', values.dedupe_by
end
local append = append_of(batch, token)
if status == 'open' then
  local refused = refusal(append)
  if refused then return cjson.encode({status = refused}) end
end
append = append or {position = 0, added = 0, sha = ''}
if not append.ended then
  append.producer, append.alive = producer, now + lease
  save_append(batch, token, append)
  if values.close_after then
    redis.call('HSET', key(batch, 'state'), 'close_after', values.close_after)
    postpone_closing(batch, values.close_after, now)
  end
end
append.status, append.dedupe_by = status, b.dedupe_by
return cjson.encode(append)
