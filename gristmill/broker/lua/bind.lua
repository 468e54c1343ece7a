--@ bind(member, sets: list) frees
--@ uses server/keys
-- Store where an exchange leads to, as kombu does: `member` (routing key, pattern, queue) in each of kombu's `sets`.
-- Touches those sets. Returns in how many of them it is new.
local new = 0
for _, set in ipairs(sets) do new = new + redis.call('SADD', PREFIX .. set, member) end
return new
