--@ uses batches/ledger
-- What is in flight beyond one batch: counts of the chunks, or items, that limits bound by task or by value.
--   batch:{b}:limit_values  string  of each item the value by which it is limited: VALUE_BYTES hexadecimal digits; only of a
--                              batch that is limited by value. UNTOLD where nobody has told it yet
--   batch:{b}:ready    zset    see parked.lua
--   batch:{b}:running, limit:{task}:running  zset  see limits.lua
--   limited_tasks      set     the tasks that have had such a count
local VALUE_BYTES = 12
local UNTOLD = string.rep('0', VALUE_BYTES)
-- The {task, value} of which something left flight in this call: batches may wait for that.
local freed = {}

-- The values of the items first to first+count-1, as texts.
local function values_of(batch, first, count)
  local text, values = redis.call('GETRANGE', key(batch, 'limit_values'), VALUE_BYTES * first, VALUE_BYTES * (first + count) - 1), {}
  for i = 1, count do
    local value = string.sub(text, VALUE_BYTES * (i - 1) + 1, VALUE_BYTES * i)
    values[i] = string.match(value, '^%x+$') and #value == VALUE_BYTES and value or UNTOLD
  end
  return values
end

-- Keep the values of items, as one text, from that index on.
local function keep_values(name, first, values)
  if values ~= '' then redis.call('SETRANGE', name, VALUE_BYTES * first, values) end
end

local function add_running(at, value, amount)
  local running = tonumber(redis.call('ZINCRBY', at .. 'running', amount, value))
  if running <= 0 then redis.call('ZREM', at .. 'running', value) end
end

-- Count chunks of a batch that enter flight (`sign` 1), or leave it (-1).
local function count_limited(batch, b, chunks, sign, now)
  if not (b.limit_by or b.task_limit_by or b.task_max_running) then return end
  if b.task_max_running and sign > 0 then redis.call('SADD', GM .. 'limited_tasks', b.task) end
  for _, chunk in ipairs(chunks) do
    local first, count = string.match(chunk, '^(%d+):(%d+)$')
    local value = (b.limit_by or b.task_limit_by) and values_of(batch, first, 1)[1]
    local of_task = b.task_limit_by and value or ''
    if b.limit_by and b.max_running then add_running(GM .. 'batch:' .. batch .. ':', value, sign) end
    if b.task_max_running then
      add_running(GM .. 'limit:' .. b.task .. ':', of_task, sign * (b.is_async and count or 1))
      if sign < 0 then freed[#freed + 1] = {b.task, of_task} end
    end
    -- Items of the value may wait for that.
    if sign < 0 and value and now then redis.call('ZADD', key(batch, 'ready'), 'NX', now, value) end
  end
end
