--@ refuse(consumer, task, patience: number, silent: number, limit: number, wait: number, reason, tag) frees
--@ uses broker/unknown broker/burial
-- Hand back a message whose task the consumer does not know, in place and hidden for a time: another may know it. When
-- workers have refused it for `patience` ms, and no worker of the queue that lives knows the task, it becomes a dead letter
-- (`limit`, `wait` and `reason` as in bury.lua).
-- Touches unknown_tasks of its queue, and what bury touches.
-- Returns 2: handed back; else as bury.
local queue, level, id = split_tag(tag)
local deliveries = owned(stream(queue, level), id, consumer)
if not deliveries then return -1 end
local now, place = milliseconds(), place_of(level, id)
local note = redis.call('HGET', unknown_tasks(queue), place)
local since = tonumber(string.match(note or '', '^%d+')) or now
if now - since >= patience and not is_known(queue, task, now, silent) then
  return bury(queue, level, id, consumer, reason, '0', limit, wait)
end
if not note then redis.call('HSET', unknown_tasks(queue), place, string.format('%d %s', now, task)) end
local hidden = math.min(HIDDEN_MOST_MS, math.max(HIDDEN_LEAST_MS, math.floor((now - since) / 10)))
-- No task has seen it: it does not count as delivered.
give_back(queue, level, id, now + hidden, deliveries - 1)
return 2
