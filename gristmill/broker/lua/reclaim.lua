-- Hand back what consumers held whose lease has ended. ARGV: prefix, consumer, ms of a lease, most messages, queues…
-- Touches q, back, lease, suspects of each queue.
-- Returns {handed back, 1 when there is more}.
local me, silent, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now, handed = milliseconds(), 0

local function reclaim(queue, level, consumer)
  local key = stream(queue, level)
  if redis.call('XLEN', key) == 0 then return end
  local found = redis.pcall('XPENDING', key, GROUP, '-', '+', most - handed, consumer)
  if found.err then return end
  for _, entry in ipairs(found) do came_back(queue, level, entry[1]) end
  handed = handed + #found
end

for i = 5, #ARGV do
  local queue = ARGV[i]
  for _, consumer in ipairs(redis.call('ZRANGE', lease(queue), '-inf', now - silent, 'BYSCORE', 'LIMIT', 0, 20)) do
    if consumer ~= me then
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
