--@ repair_limits(mend: flag, tasks: list) frees
--@ uses batches/release
-- Compare what counts against the limits of tasks with the live batches; `tasks` are those of which something counts. With
-- `mend`, make them agree, and release who waits for it.
-- Touches: limit:{task}:running, and what release touches. Returns how many counts disagreed.
local now, right, wrong, limited = milliseconds(), {}, 0, {}
for _, task in ipairs(tasks) do right[task] = {} end

for _, batch in ipairs(redis.call('ZRANGE', GM .. 'active', 0, -1)) do
  local b = state(batch, {'task', 'is_async', 'task_max_running', 'task_rate', 'task_limit_by'}, {})
  if b.task_max_running or b.task_rate then limited[#limited + 1] = batch end
  if b.task_max_running then
    local counts = right[b.task] or {}
    right[b.task] = counts
    for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)) do
      local first, count = range_of(chunk)
      local value = b.task_limit_by and values_of(batch, first, 1)[1] or ''
      counts[value] = (counts[value] or 0) + (b.is_async and count or 1)
    end
  end
end

-- Make one count of a task right; nil where nothing counts.
local function correct(task, value, number, standing)
  if number == standing then return end
  wrong = wrong + 1
  if not mend then return end
  local at = GM .. 'limit:' .. task .. ':running'
  if number then redis.call('ZADD', at, number, value) else redis.call('ZREM', at, value) end
  freed[#freed + 1] = {task, value}
end

for task, counts in pairs(right) do
  local flat, standing = redis.call('ZRANGE', GM .. 'limit:' .. task .. ':running', 0, -1, 'WITHSCORES'), {}
  for i = 1, #flat, 2 do standing[flat[i]] = tonumber(flat[i + 1]) end
  for value, number in pairs(standing) do correct(task, value, counts[value], number) end
  for value, number in pairs(counts) do
    if not standing[value] then correct(task, value, number, nil) end
  end
end
release_freed(now)
-- Half of a script may have left a batch waiting where nobody looks.
for _, batch in ipairs(mend and limited or {}) do release(batch, now) end
return wrong
