--@ enlist(consumer, worker, problem, queues: list) frees
--@ uses broker/lease
-- Note that a worker takes part in the watch: with its id, its queues, and the `problem` that keeps others from seeing it
-- die, if there is one. It becomes a watcher if there are too few. Touches consumers, watchers.
-- Returns {1 if it watches, number of workers}.
local SEATS, SEAT_MS = 3, 3000
local now = milliseconds()
table.sort(queues)
local entry = cjson.encode({worker = worker, problem = problem, queues = queues})
if redis.call('HGET', CONSUMERS, consumer) ~= entry then redis.call('HSET', CONSUMERS, consumer, entry) end

local function watches()
  if problem ~= '' then return false end
  redis.call('ZREMRANGEBYSCORE', WATCHERS, '-inf', now - SEAT_MS)
  return redis.call('ZSCORE', WATCHERS, consumer) or redis.call('ZCARD', WATCHERS) < SEATS
end

local seated = watches()
if seated then redis.call('ZADD', WATCHERS, now, consumer) else redis.call('ZREM', WATCHERS, consumer) end
return {seated and 1 or 0, redis.call('HLEN', CONSUMERS)}
