--@ unbroken(lease: number) frees
--@ uses broker/renewals server/run
-- Note that somebody renews a lease of `lease` ms, and how late it is. Returns the ms for which the fleet has renewed leases on
-- this run of the server without a gap of half a lease: whoever was silent for as long had the time to renew its own. 0 where
-- the user may not ask which run it is.
wind_clock()
local now, run = milliseconds(), run_of_server()
local noted = redis.call('HMGET', RENEWALS, 'run', 'first', 'renewed', 'gapless')
local first, renewed, gapless = tonumber(noted[2]) or 0, tonumber(noted[3]) or 0, tonumber(noted[4]) or 0
local is_late = now - renewed > lease / 2
if is_late and noted[2] then gapless = now end
if run == '' or noted[1] ~= run or is_late then first = now end
redis.call('HSET', RENEWALS, 'run', run, 'first', first, 'renewed', now, 'gapless', gapless)
return now - first
