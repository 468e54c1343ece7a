--@ postpone(consumer, wait: number, most: number, unseen: flag, tags: list) frees
--@ uses broker/lease
-- Hand back, in place, messages that the consumer still owns, to be taken after `wait` ms, twice as long for each time that
-- they were delivered before, at most `most` ms. With `unseen` they do not count as delivered.
-- Touches q and back of their queues. Returns how many were its own.
local number = 0
for _, tag in ipairs(tags) do
  local queue, level, id = split_tag(tag)
  local deliveries = owned(stream(queue, level), id, consumer)
  if deliveries then
    number = number + 1
    local hidden = math.min(wait * 2 ^ (deliveries - 1), most)
    give_back(queue, level, id, milliseconds() + hidden, unseen and deliveries - 1)
  end
end
return number
