--@ back(consumer, suspicion: number, tags: list) frees
--@ uses broker/lease
-- Hand back, in place, messages that the consumer still owns; `suspicion` is how many deaths count against each.
-- Touches q, back, suspects of their queues. Returns how many were its own.
local number = 0
for _, tag in ipairs(tags) do
  local queue, level, id = split_tag(tag)
  if owned(stream(queue, level), id, consumer) then
    number = number + 1
    if suspicion == 0 then give_back(queue, level, id) else return_suspect(queue, level, id, suspicion) end
  end
end
return number
