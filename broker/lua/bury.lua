-- Keep messages that the consumer still owns as dead letters. ARGV: prefix, consumer, reason, deaths, tags…
-- Touches q and suspects of their queues; dead. Returns how many were its own.
local number = 0
for i = 5, #ARGV do
  local queue, level, id = split(ARGV[i])
  if owned(stream(queue, level), id, ARGV[2]) then
    number = number + 1
    bury(queue, level, id, ARGV[3], ARGV[4], ARGV[2])
  end
end
return number
