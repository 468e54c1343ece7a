-- Take a slot of a remote host, or say how long to wait. Times are µs of the server's clock.
--
-- KEYS[1]  sorted set: a slot's name -> when its lease ends
-- KEYS[2]  string: when the next request is due (the theoretical arrival time of GCRA)
-- ARGV     the slot's name, most slots, µs between requests, µs that may be caught up, µs of a lease
-- Returns  0: taken; above 0: µs until the rate allows it; -1: every slot is taken
--
-- GCRA, the generic cell rate algorithm of ITU-T I.371: a request may come at most `catch_up` before it is due.

local slot, most = ARGV[1], tonumber(ARGV[2])
local interval, catch_up, lease = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZSCORE', KEYS[1], slot) then
  -- The reply to an earlier call was lost.
  return 0
end
if redis.call('ZCARD', KEYS[1]) >= most then
  return -1
end
local due = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), now)
if due - catch_up > now then
  return math.ceil(due - catch_up - now)
end

redis.call('ZADD', KEYS[1], now + lease, slot)
redis.call('PEXPIRE', KEYS[1], math.ceil(lease / 1000))
local following = due + interval
redis.call('SET', KEYS[2], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000))
return 0
