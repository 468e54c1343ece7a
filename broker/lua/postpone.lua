-- Hand back messages that the consumer still owns, to be taken only later. ARGV: prefix, consumer, ms, tags…
-- Touches q, later, suspects of their queues. Returns how many were its own. Adds before it removes.
local number = 0
for i = 4, #ARGV do
  local queue, level, id = split(ARGV[i])
  if owned(stream(queue, level), id, ARGV[2]) then
    number = number + 1
    local entry = redis.call('XRANGE', stream(queue, level), id, id)[1]
    if entry then redis.call('ZADD', later(queue), milliseconds() + ARGV[3], level .. entry[2][2]) end
    remove(queue, level, {id})
  end
end
return number
