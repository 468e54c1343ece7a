--@ hand_on(consumer, since: number, most: number) frees
--@ uses broker/lease batches/workers
-- Hand back what a worker holds whose subscription has been gone since `since`, ms, and take it out of the registry. Does
-- nothing if the worker has been heard of since then: by a renewal of its lease, a take, a heartbeat or a subscription.
-- Touches consumers, watchers, tasks_of, workers and what remove_worker touches; q, back, lease, suspects of its queues.
-- Returns {messages handed back, 1 when there is more}; {-1, 0} if the worker has been heard of.
local text = redis.call('HGET', CONSUMERS, consumer)
-- Another watcher was faster.
if not text then return {0, 0} end
local entry = cjson.decode(text)

local function scored(key, member) return tonumber(redis.call('ZSCORE', key, member) or 0) >= since end

local function is_alive()
  if redis.call('PUBSUB', 'NUMSUB', channel_of(consumer))[2] > 0 then return true end
  for _, queue in ipairs(entry.queues) do
    if scored(lease(queue), consumer) then return true end
  end
  return scored(GM .. 'workers', entry.worker)
end

if is_alive() then return {-1, 0} end
local handed = 0
for _, queue in ipairs(entry.queues) do
  handed = handed + take_over(queue, consumer, most - handed)
  if handed >= most then return {handed, 1} end
end
end_watch(consumer)
remove_worker(entry.worker)
return {handed, 0}
