-- Say that a consumer lives: its lease on all it has taken begins anew. ARGV: prefix, consumer, queues…
-- Touches lease of each queue. Returns the ms since it was last heard of; -1: never.
local now, silent = milliseconds(), -1
for i = 3, #ARGV do
  local last = redis.call('ZSCORE', lease(ARGV[i]), ARGV[2])
  if last then silent = math.max(silent, now - last) end
  redis.call('ZADD', lease(ARGV[i]), now, ARGV[2])
end
return silent
