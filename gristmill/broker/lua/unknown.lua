--@ uses broker/lease
-- Messages of tasks that no worker knows. Keys beside those of expiry.lua:
--   {prefix}gm1:unknown_tasks:{queue}  hash  place of a message -> since when workers have refused it, ms, and its task
-- A message is hidden for a tenth of the time since it was first refused, and for at least and at most so many ms.
local HIDDEN_LEAST_MS, HIDDEN_MOST_MS = 1000, 60000

-- Whether a consumer of the queue that was heard of in the last `silent` ms knows the task.
local function is_known(queue, task, now, silent)
  local consumers = redis.call('ZRANGE', lease(queue), now - silent, '+inf', 'BYSCORE')
  for _, consumer in ipairs(consumers) do
    local tasks = redis.call('HGET', TASKS_OF, consumer)
    if tasks and string.find(tasks, '\n' .. task .. '\n', 1, true) then return true end
  end
  return false
end
