--@ use_rate(task, value, rate) frees
--@ uses batches/limits
-- Count one further start of a task for a value, by its rate `rate`, beside those that are handed out.
-- Touches: limit:{task}:rates. Returns in how many ms the start is due.
local now, at = milliseconds(), GM .. 'limit:' .. task .. ':rates'
local due = math.max(tonumber(redis.call('ZSCORE', at, value) or 0), now - CATCH_UP_MS)
redis.call('ZREMRANGEBYSCORE', at, '-inf', now - CATCH_UP_MS)
redis.call('ZADD', at, string.format('%.4f', due + interval_of(rate)), value)
return math.max(0, math.ceil(due - now))
