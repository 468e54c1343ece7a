--@ postpone(consumer, wait: number, tags: list) frees
--@ uses broker/lease
-- Hand back, in place, messages that the consumer still owns, to be taken after `wait` ms.
-- Touches q and back of their queues. Returns how many were its own.
local number = 0
for _, tag in ipairs(tags) do
  local queue, level, id = split_tag(tag)
  if owned(stream(queue, level), id, consumer) then
    number = number + 1
    give_back(queue, level, id, milliseconds() + wait)
  end
end
return number
