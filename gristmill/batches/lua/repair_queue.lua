--@ repair_queue(queue, mend: flag) frees
--@ uses batches/in_flight broker/queue
-- Compare the counts of a queue with its live batches, and its slots with its workers; with `mend`, make them agree.
-- Touches: queue:{q}, slots. Returns how many counts disagreed.
local right, wrong = {open = 0, paused = 0}, 0
for level = 0, LEVELS do right[level_field(level)] = 0 end
for _, batch in ipairs(redis.call('ZRANGE', GM .. 'active', 0, -1)) do
  local b = state(batch, {'queue', 'paused', 'waiting'}, {'stored', 'succeeded', 'failed', 'cancelled', 'dead', 'priority'})
  if b.queue == queue then
    local field = (b.paused or b.waiting) and 'paused' or 'open'
    right[field] = right[field] + left_of(b)
    local flights = level_field(b.priority)
    right[flights] = right[flights] + redis.call('ZCARD', key(batch, 'in_flight'))
  end
end
for field, number in pairs(right) do
  if tonumber(redis.call('HGET', GM .. 'queue:' .. queue, field) or 0) ~= number then
    wrong = wrong + 1
    if mend then redis.call('HSET', GM .. 'queue:' .. queue, field, number) end
  end
end
local slots, flat = 0, redis.call('HGETALL', GM .. 'slots_of')
for i = 1, #flat, 2 do
  local number, of = string.match(flat[i + 1], '^(%d+) (.*)$')
  if of == queue then slots = slots + number end
end
if tonumber(redis.call('HGET', GM .. 'slots', queue) or 0) ~= slots then
  wrong = wrong + 1
  if mend then redis.call('HSET', GM .. 'slots', queue, slots) end
end
return wrong
