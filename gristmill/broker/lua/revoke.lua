--@ revoke(remember: number, ids: list, stamps: list) frees
--@ uses broker/due server/clock
-- Remember for `remember` ms that tasks were revoked, by their ids or by stamps, for those of them that wait for their time.
-- Touches revoked, revoked_stamps.
local now = milliseconds()
local function keep(key, members)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  for _, member in ipairs(members) do redis.call('ZADD', key, now + remember, member) end
end
keep(REVOKED, ids)
keep(REVOKED_STAMPS, stamps)
