--@ back(consumer, suspicion: number, unseen: flag, tags: list) frees
--@ uses broker/lease
-- Hand back, in place, messages that the consumer still owns; `suspicion` is how many deaths count against each. With
-- `unseen` they do not count as delivered. An alarm that nobody has heard wakes another reader.
-- Touches q, back, suspects of their queues. Returns how many were its own.
local number = 0
for _, tag in ipairs(tags) do
  local queue, level, id = split_tag(tag)
  local deliveries = owned(stream(queue, level), id, consumer)
  if deliveries then
    number = number + 1
    if level == ALARM then
      remove(queue, level, {id})
      ring_once(queue)
    elseif suspicion > 0 then
      return_suspect(queue, level, id, suspicion)
    else
      give_back(queue, level, id, nil, unseen and deliveries - 1)
    end
  end
end
return number
