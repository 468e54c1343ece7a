--@ enlist(consumer, worker, problem, anew: flag, queues: list) frees
--@ uses broker/watchers server/clock server/run
-- Note that a worker takes part in the watch: with its id, its queues, and the `problem` that keeps others from seeing it
-- die, if there is one. It becomes a watcher if there are too few, and it is not alone. `anew` says that it has subscribed
-- since it enlisted: the run of the server is noted on which it has done so; it is noted later where the server had not
-- heard of it. Touches consumers, watchers.
-- Returns {1 if it watches, number of workers}.
local now = milliseconds()
table.sort(queues)
local before = redis.call('HGET', CONSUMERS, consumer)

local function run()
  local noted = before and not anew and cjson.decode(before).run or ''
  if noted ~= '' then return noted end
  local number = redis.pcall('PUBSUB', 'NUMSUB', channel_of(consumer))[2]
  return number and number > 0 and run_of_server() or ''
end

local entry = cjson.encode({worker = worker, problem = problem, queues = queues, run = run()})
if before ~= entry then redis.call('HSET', CONSUMERS, consumer, entry) end

local workers = redis.call('HLEN', CONSUMERS)

local function watches()
  if problem ~= '' or workers == 1 then return false end
  redis.call('ZREMRANGEBYSCORE', WATCHERS, '-inf', now - SEAT_MS)
  return redis.call('ZSCORE', WATCHERS, consumer) or redis.call('ZCARD', WATCHERS) < SEATS
end

local seated = watches()
if seated then redis.call('ZADD', WATCHERS, now, consumer) else redis.call('ZREM', WATCHERS, consumer) end
return {seated and 1 or 0, workers}
