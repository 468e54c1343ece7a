--@ uses batches/blocks batches/bitmaps batches/counts batches/flight_counts
-- What a slot needs to run a chunk.
local BLOCKS = 16

-- The blocks with the items first to first+count-1, up to the one with which they have CHUNK_BYTES; and how many of the
-- items are in them.
local function blocks_of(batch, first, count)
  local blocks, reached, bytes = {}, first, 0
  local function add(...)
    local entries = redis.call('XRANGE', key(batch, 'in'), ...)
    for _, entry in ipairs(entries) do
      if bytes >= CHUNK_BYTES then break end
      blocks[#blocks + 1] = block_of(entry)
      reached, bytes = blocks[#blocks].after, bytes + #blocks[#blocks].items
    end
    return #entries
  end
  while bytes < CHUNK_BYTES and add(reached + 1, first + count, 'COUNT', BLOCKS) == BLOCKS do end
  if bytes < CHUNK_BYTES and reached < first + count then add(first + count + 1, '+', 'COUNT', 1) end
  return blocks, bytes < CHUNK_BYTES and count or math.min(count, reached - first)
end

-- A hash's fields for the items first to first+count-1; none when there is no such hash.
local function fields_for(batch, part, first, count)
  if redis.call('EXISTS', key(batch, part)) == 0 then return {} end
  local indexes = {}
  for index = first, first + count - 1 do indexes[#indexes + 1] = index end
  return redis.call('HMGET', key(batch, part), unpack(indexes))
end

-- Names and values by turns: task, fixed, parameter, retries, retry_seconds, keep_logs, memory, time_limit, output_dir, halt, from_batch, limit_by; done, a text of 0 and 1, one an item;
-- attempts and retained, an entry an item or none at all; blocks, {first, items} each. They are of fewer items than
-- `count` when these have more than CHUNK_BYTES. `limit_by` is there when the values of the items are to be told first, in
-- place of running them. Counts how long the items have waited until `now`, unless that is false.
local function contents(batch, first, count, now)
  local b = state(batch, {'queue', 'task', 'fixed', 'parameter', 'retries', 'retry_seconds', 'keep_logs', 'memory',
    'time_limit', 'output_dir', 'halt', 'from_batch', 'limit_by', 'task_limit_by'}, {})
  local blocks, items = blocks_of(batch, first, count)
  local attempts = fields_for(batch, 'attempts', first, items)
  local done = bits_of(key(batch, 'done'), first, items)
  local limit_by = b.limit_by or b.task_limit_by
  local untold = limit_by and values_of(batch, first, 1)[1] == UNTOLD
  if now and not untold then
    local first_time, stored_at = 0, blocks[1] and blocks[1].at or now
    for i = 1, items do
      if string.byte(done, i) == 48 and not attempts[i] then first_time = first_time + 1 end
    end
    count_task(now, b.queue, b.task, {'W' .. bucket(now - stored_at), first_time})
  end
  local texts = {}
  for i, block in ipairs(blocks) do texts[i] = {block.first, block.items} end
  return {'task', b.task, 'fixed', b.fixed, 'parameter', b.parameter, 'retries', b.retries,
    'retry_seconds', b.retry_seconds, 'keep_logs', b.keep_logs or false, 'memory', b.memory or false,
    'time_limit', b.time_limit or false, 'output_dir', b.output_dir or false, 'halt', b.halt or false,
    'from_batch', b.from_batch or false, 'limit_by', untold and limit_by or false, 'done', done, 'attempts', attempts,
    'blocks', texts, 'retained', fields_for(batch, 'retained_inputs', first, items)}
end
