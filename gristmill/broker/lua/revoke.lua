--@ revoke(remember: number, ids: list) frees
--@ uses server/keys server/clock
-- Remember for `remember` ms that tasks were revoked, for those of them that wait for their time.
-- Touches: revoked  zset  task id -> until when it is remembered, ms
local now = milliseconds()
redis.call('ZREMRANGEBYSCORE', GM .. 'revoked', '-inf', now)
for _, id in ipairs(ids) do redis.call('ZADD', GM .. 'revoked', now + remember, id) end
