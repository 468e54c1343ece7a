--@ renew(consumer, queues: list) frees
--@ uses broker/expiry
-- Say that a consumer lives: its lease on all it has taken begins anew. Touches lease of each queue, and q,
-- back, suspects of those that expire. Returns the ms since it was last heard of; -1: never.
local now, silent = milliseconds(), -1
for _, queue in ipairs(queues) do
  local last = redis.call('ZSCORE', lease(queue), consumer)
  if last then silent = math.max(silent, now - last) end
  renew(queue, consumer, now)
end
return silent
