-- Remember that tasks were revoked, for those of them that wait for their time. ARGV: prefix, ms to remember, ids…
-- Touches: revoked  zset  task id -> until when it is remembered, ms
local now = milliseconds()
redis.call('ZREMRANGEBYSCORE', PREFIX .. 'gm1:revoked', '-inf', now)
for i = 3, #ARGV do redis.call('ZADD', PREFIX .. 'gm1:revoked', now + ARGV[2], ARGV[i]) end
