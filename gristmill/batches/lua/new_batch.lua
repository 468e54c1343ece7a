--@ uses batches/ending batches/scheduled
-- The start of a batch: its state, from names and values by turns, and the sets that list it.
local function named(fields)
  local values = {}
  for i = 1, #fields, 2 do values[fields[i]] = fields[i + 1] end
  return values
end

local function create_batch(batch, fields, now)
  local values = named(fields)
  -- With the other fields: without it, no script can read a batch whose creation a crash has cut in half.
  if values.from_batch then fields[#fields + 1], fields[#fields + 2] = 'source_event', '0-0' end
  redis.call('SET', GM .. 'schema', SCHEMA)
  -- The first epoch is one that no deleted batch of this name had: late records of that do not fit.
  redis.call('HSET', key(batch, 'state'), 'created', now, 'epoch', now, 'stored', 0, unpack(fields))
  local learnt = redis.call('HGET', GM .. 'learnt', values.task .. ' ' .. values.fingerprint)
  if learnt then redis.call('HSET', key(batch, 'state'), 'learnt', learnt) end
  redis.call('ZADD', GM .. 'batches', now, batch)
  redis.call('ZADD', GM .. 'active', now, batch)
  notices.watch(batch, tonumber(values.stuck_after), now)
  redis.call('ZREM', GM .. 'expiring', batch)
  links.add(batch, now, values.after)
  if values.from_batch then sources.add(batch, now, values.from_batch) end
  local at = tonumber(values.scheduled_at)
  if at then hold_until(batch, at, now) end
end

-- What a batch is to follow and is not there: `missing`, the parameter and the name; nil where all is.
local function missing_batch(values)
  local name = links.missing(values.after)
  if name then return 'missing after ' .. name end
  if values.from_batch and links.missing(values.from_batch) then return 'missing from_batch ' .. values.from_batch end
end
