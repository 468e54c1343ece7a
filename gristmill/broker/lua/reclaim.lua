--@ reclaim(caller, silent: number, most: number, queues: list) frees
--@ uses broker/lease
-- Hand back what consumers held that have been silent for a lease, `silent` ms; not what the caller holds.
-- Touches q, back, lease, suspects of each queue; consumers, watchers. Returns {handed back, 1 when there is more}.
local now, handed = milliseconds(), 0

for _, queue in ipairs(queues) do
  for _, consumer in ipairs(redis.call('ZRANGE', lease(queue), '-inf', now - silent, 'BYSCORE', 'LIMIT', 0, 20)) do
    if consumer ~= caller then
      handed = handed + take_over(queue, consumer, most - handed)
      if handed >= most then return {handed, 1} end
      end_watch(consumer)
    end
  end
end
return {handed, 0}
