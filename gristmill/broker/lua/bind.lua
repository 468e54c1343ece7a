-- Note where an exchange leads to, as kombu does. ARGV: prefix, member (routing key, pattern, queue), kombu's keys…
-- Touches those sets. Returns in how many of them it is new.
local new = 0
for i = 3, #ARGV do new = new + redis.call('SADD', PREFIX .. ARGV[i], ARGV[2]) end
return new
