--@ renew_slots(host, lease: number, slots: list) frees
--@ uses server/clock
-- Renew the leases, of `lease` µs, of slots of one remote host, those that have not ended. Touches host:{host}.
local ends = microseconds() + lease
for _, slot in ipairs(slots) do redis.call('ZADD', GM .. 'host:' .. host, 'XX', ends, slot) end
redis.call('PEXPIRE', GM .. 'host:' .. host, math.ceil(lease / 1000))
