--@ purge(queue, whole: flag) frees
--@ uses broker/expiry
-- Remove what nobody has taken from a queue, also what waits for its time; `whole` deletes all of it.
-- Touches q, back, later, lease, suspects, unknown_tasks of the queue; expires, expiry_looks. Returns how many messages were removed.
local number = waiting(queue) + redis.call('ZCARD', later(queue))
  + redis.call('ZCOUNT', back(queue), '(' .. LEVELS, '+inf')

local function drop_new(key)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  local pending, last = 0, '0-0'
  if not groups.err and groups[1] then pending, last = groups[1][6], groups[1][8] end
  if pending == 0 then
    redis.call('DEL', key)
    redis.call('XGROUP', 'CREATE', key, GROUP, '0', 'MKSTREAM')
    return
  end
  -- Trimming would drop what is being worked on.
  while true do
    local entries = redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', 1000)
    if #entries == 0 then return end
    local ids = {}
    for _, entry in ipairs(entries) do ids[#ids + 1] = entry[1] end
    redis.call('XDEL', key, unpack(ids))
  end
end

for _, place in ipairs(redis.call('ZRANGE', back(queue), 0, -1)) do
  local level, id = split_place(place)
  remove(queue, level, {id})
end
redis.call('DEL', back(queue), later(queue), unknown_tasks(queue))
for level = 0, LEVELS do
  local key = stream(queue, level)
  if whole then redis.call('DEL', key) elseif redis.call('XLEN', key) > 0 then drop_new(key) end
end
if whole then
  redis.call('DEL', lease(queue), suspects(queue), stream(queue, ALARM))
  redis.call('HDEL', EXPIRES, queue)
  redis.call('ZREM', LOOKS, queue)
end
return number
