--@ uses server/clock
-- When the fleet renewed leases. A server that was away and a clock that was set forward leave a gap: after it, each consumer
-- has the time to renew its lease before it counts as dead.
--   {prefix}gm1:renewals  hash  run: of the server; first: since when leases were renewed on it, ms; gapless: since when
--                               they were, on any run, without a gap of half a lease, ms; renewed: when one was last, ms
local RENEWALS = GM .. 'renewals'

-- Whether each consumer that has been silent for `silent` ms could have renewed its lease since.
local function all_could_renew(now, silent)
  local renewed, gapless = unpack(redis.call('HMGET', RENEWALS, 'renewed', 'gapless'))
  return not renewed or now - renewed <= silent / 2 and now - gapless >= silent
end
