--@ busy() reads
--@ uses server/keys server/clock
-- What runs for long: the time, and worker and the text of its busy:{worker} by turns, for each worker that has one.
local texts = {}
for _, worker in ipairs(redis.call('ZRANGE', GM .. 'workers', 0, -1)) do
  local text = redis.call('GET', GM .. 'busy:' .. worker)
  if text then
    texts[#texts + 1] = worker
    texts[#texts + 1] = text
  end
end
return {milliseconds(), texts}
