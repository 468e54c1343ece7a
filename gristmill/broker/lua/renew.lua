--@ renew(consumer, queues: list) frees
--@ uses broker/lease
-- Say that a consumer lives: its lease on all it has taken begins anew. Touches lease of each queue.
-- Returns the ms since it was last heard of; -1: never.
local now, silent = milliseconds(), -1
for _, queue in ipairs(queues) do
  local last = redis.call('ZSCORE', lease(queue), consumer)
  if last then silent = math.max(silent, now - last) end
  redis.call('ZADD', lease(queue), now, consumer)
end
return silent
