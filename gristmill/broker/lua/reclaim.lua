--@ reclaim(caller, silent: number, most: number, queues: list) frees
--@ uses broker/lease
-- Hand back what consumers held that have been silent for a lease, `silent` ms; not what the caller holds.
-- Touches q, back, lease, suspects of each queue. Returns {handed back, 1 when there is more}.
local now, handed = milliseconds(), 0

local function reclaim(queue, level, consumer)
  local key = stream(queue, level)
  if redis.call('XLEN', key) == 0 then return end
  local entries = redis.pcall('XPENDING', key, GROUP, '-', '+', most - handed, consumer)
  if entries.err then return end
  for _, entry in ipairs(entries) do return_suspect(queue, level, entry[1]) end
  handed = handed + #entries
end

for _, queue in ipairs(queues) do
  for _, consumer in ipairs(redis.call('ZRANGE', lease(queue), '-inf', now - silent, 'BYSCORE', 'LIMIT', 0, 20)) do
    if consumer ~= caller then
      for level = 0, LEVELS do
        if handed < most then reclaim(queue, level, consumer) end
      end
      if handed >= most then return {handed, 1} end
      -- Nothing is pending under its name any more: deleting a consumer would drop what is.
      for level = 0, LEVELS do redis.pcall('XGROUP', 'DELCONSUMER', stream(queue, level), GROUP, consumer) end
      redis.call('ZREM', lease(queue), consumer)
    end
  end
end
return {handed, 0}
