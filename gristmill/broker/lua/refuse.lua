--@ refuse(consumer, task, patience: number, silent: number, limit: number, wait: number, reason, tag) frees
--@ uses broker/burial
-- Hand back a message whose task the consumer does not know, in place and hidden for a time: another may know it. When
-- workers have refused it for `patience` ms, and no worker of the queue that lives knows the task, it becomes a dead letter
-- (`limit`, `wait` and `reason` as in bury.lua).
-- Keys beside those of lease.lua:
--   {prefix}gm1:unknown_tasks:{queue}  hash  place of a message -> since when workers have refused it, ms, and its task
-- Touches unknown_tasks of its queue, and what bury touches.
-- Returns 2: handed back; else as bury.
-- A message is hidden for a tenth of the time since it was first refused, and for at least and at most so many ms.
local HIDDEN_LEAST_MS, HIDDEN_MOST_MS = 1000, 60000

-- Whether a consumer of the queue that was heard of in the last `silent` ms knows the task.
local function is_known(queue, now)
  local consumers = redis.call('ZRANGE', lease(queue), now - silent, '+inf', 'BYSCORE')
  for _, consumer in ipairs(consumers) do
    local tasks = redis.call('HGET', TASKS_OF, consumer)
    if tasks and string.find(tasks, '\n' .. task .. '\n', 1, true) then return true end
  end
  return false
end

local queue, level, id = split_tag(tag)
local deliveries = owned(stream(queue, level), id, consumer)
if not deliveries then return -1 end
local now, place = milliseconds(), place_of(level, id)
local note = redis.call('HGET', unknown_tasks(queue), place)
local since = tonumber(string.match(note or '', '^%d+')) or now
if now - since >= patience and not is_known(queue, now) then
  return bury(queue, level, id, consumer, reason, '0', limit, wait)
end
if not note then redis.call('HSET', unknown_tasks(queue), place, string.format('%d %s', now, task)) end
local hidden = math.min(HIDDEN_MOST_MS, math.max(HIDDEN_LEAST_MS, math.floor((now - since) / 10)))
-- No task has seen it: it does not count as delivered.
give_back(queue, level, id, now + hidden, deliveries - 1)
return 2
