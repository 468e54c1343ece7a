-- Renew the leases of slots of one remote host, those that have not ended. Times are µs of the server's clock.
--
-- KEYS[1]  sorted set: a slot's name -> when its lease ends
-- ARGV     µs of a lease, names of slots…

local lease = tonumber(ARGV[1])
local time = redis.call('TIME')
local ends = time[1] * 1000000 + time[2] + lease

for index = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', ends, ARGV[index])
end
redis.call('PEXPIRE', KEYS[1], math.ceil(lease / 1000))
