--@ take_slot(host, slot, most: number, interval: number, catch_up: number, lease: number) frees
--@ uses server/clock server/gcra
-- Take a slot of a remote host, or say how long to wait. Times are µs.
--   {prefix}gm1:host:{host}      zset    a slot's name -> when its lease ends
--   {prefix}gm1:host:{host}:due  string  when the next request is due, see gcra.lua
-- `most` slots, `interval` µs between requests, of which `catch_up` µs may be caught up, `lease` µs.
-- Returns 0: taken; above 0: µs until the rate allows it; -1: every slot is taken.
local slots, due_key, now = GM .. 'host:' .. host, GM .. 'host:' .. host .. ':due', microseconds()

redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
if redis.call('ZSCORE', slots, slot) then
  -- The reply to an earlier call was lost.
  return 0
end
if redis.call('ZCARD', slots) >= most then
  return -1
end
local requests, wait, due = gcra(tonumber(redis.call('GET', due_key) or 0), now, interval, catch_up)
if requests == 0 then
  return math.ceil(wait)
end

redis.call('ZADD', slots, now + lease, slot)
redis.call('PEXPIRE', slots, math.ceil(lease / 1000))
local following = due + interval
redis.call('SET', due_key, string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000))
return 0
