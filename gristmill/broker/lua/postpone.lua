-- Hand back, in place, messages that the consumer still owns, to be taken only later.
-- ARGV: prefix, consumer, ms, tags… Touches q and back of their queues. Returns how many were its own.
local number = 0
for i = 4, #ARGV do
  local queue, level, id = split(ARGV[i])
  if owned(stream(queue, level), id, ARGV[2]) then
    number = number + 1
    give_back(queue, level, id, milliseconds() + ARGV[3])
  end
end
return number
