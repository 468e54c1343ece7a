--@ unbroken(lease: number) frees
--@ uses server/clock server/run
-- Note that somebody renews a lease of `lease` ms. Returns the ms for which the fleet has renewed leases on this run of the
-- server without a gap of half a lease: whoever was silent for as long had the time to renew his. 0 where the user may
-- not ask which run it is.
--   {prefix}gm1:renewals  hash  run: of the server; first, latest: when leases were renewed, ms
local RENEWALS = GM .. 'renewals'
local now, run = milliseconds(), run_of_server()
local noted = redis.call('HMGET', RENEWALS, 'run', 'first', 'latest')
local first, latest = tonumber(noted[2]) or 0, tonumber(noted[3]) or 0
if run == '' or noted[1] ~= run or now - latest > lease / 2 then first = now end
redis.call('HSET', RENEWALS, 'run', run, 'first', first, 'latest', now)
return now - first
