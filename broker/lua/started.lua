-- Note that a message whose worker has died before runs again. ARGV: prefix, tag. Touches suspects of its queue.
local queue, level, id = split(ARGV[2])
local place = level .. '/' .. id
local was = redis.call('HGET', suspects(queue), place)
if was then redis.call('HSET', suspects(queue), place, string.match(was, '^%d+') .. '+') end
