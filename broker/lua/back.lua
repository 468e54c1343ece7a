-- Hand back, in place, messages that the consumer still owns. ARGV: prefix, consumer, 1 if they killed their process,
-- tags… Touches q, back, suspects of their queues; dead. Returns how many were its own.
local number = 0
for i = 4, #ARGV do
  local queue, level, id = split(ARGV[i])
  if owned(stream(queue, level), id, ARGV[2]) then
    number = number + 1
    if ARGV[3] == '1' then died(queue, level, id, ARGV[2], true) else give_back(queue, level, id) end
  end
end
return number
