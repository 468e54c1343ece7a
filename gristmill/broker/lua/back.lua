-- Hand back, in place, messages that the consumer still owns. ARGV: prefix, consumer, how much that makes them suspects,
-- tags… Touches q, back, suspects of their queues. Returns how many were its own.
local number = 0
for i = 4, #ARGV do
  local queue, level, id = split(ARGV[i])
  if owned(stream(queue, level), id, ARGV[2]) then
    number = number + 1
    if ARGV[3] == '0' then give_back(queue, level, id) else came_back(queue, level, id, ARGV[3]) end
  end
end
return number
