--@ reclaim(caller, silent: number, most: number, queues: list) frees
--@ uses broker/expiry broker/renewals
-- Hand back what consumers held that have been silent for a lease, `silent` ms; not what the caller holds. Nobody counts as
-- dead for a caller whose own lease is old, nor within a lease of a gap in the renewals: on a server that has come back or has
-- taken over, and where the clock was set forward, all leases are old.
-- Touches q, back, lease, suspects of each queue and of those that expire; expires, expiry_looks, tasks_of, consumers,
-- watchers. Returns {handed back, 1 when there is more}.
local now, handed, sure = milliseconds(), 0, false

local function silent_consumers(queue)
  local renewed = tonumber(redis.call('ZSCORE', lease(queue), caller) or 0)
  if renewed < now - silent / 2 then return {} end
  if not all_could_renew(now, silent) then return {} end
  sure = true
  return redis.call('ZRANGE', lease(queue), '-inf', now - silent, 'BYSCORE', 'LIMIT', 0, 20)
end

for _, queue in ipairs(queues) do
  for _, consumer in ipairs(silent_consumers(queue)) do
    if consumer ~= caller then
      handed = handed + take_over(queue, consumer, most - handed)
      if handed >= most then return {handed, 1} end
      end_watch(consumer)
    end
  end
end
if sure then expire_unused(now, silent) end
return {handed, 0}
