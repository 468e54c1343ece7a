--@ list_schedules() reads
--@ uses server/keys
-- The schedules, oldest first: name and state by turns. Touches: schedules, schedule:{s}:state.
local list = {}
for _, schedule in ipairs(redis.call('ZRANGE', GM .. 'schedules', 0, -1)) do
  list[#list + 1] = schedule
  list[#list + 1] = redis.call('HGETALL', GM .. 'schedule:' .. schedule .. ':state')
end
return list
