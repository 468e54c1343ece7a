--@ live(silent: number) reads
--@ uses server/keys server/clock
-- The workers that were heard of in the last `silent` ms: the time, ms, and for each the worker, when that was, its heartbeat,
-- what it announced, and its setups that fail; see workers.lua.
local now, rows = milliseconds(), {}
local heard = redis.call('ZRANGEBYSCORE', GM .. 'workers', now - silent, '+inf', 'WITHSCORES')
for i = 1, #heard, 2 do
  local worker, heartbeat = heard[i], redis.call('HGET', GM .. 'heartbeats', heard[i])
  if heartbeat then
    local announced, setups = redis.call('HGET', GM .. 'announced', worker), redis.call('HGET', GM .. 'setup_failures', worker)
    rows[#rows + 1] = {worker, tonumber(heard[i + 1]), heartbeat, announced or '', setups or ''}
  end
end
return {now, rows}
