--@ look_at_notices() frees
--@ uses batches/stalls
-- Tell of batches that are stuck; then say how many notices are to be sent, up to NOTICES_MOST, and how many workers live.
-- Touches: stalls, notices, notice:{n}, batch:{b}:state. Returns {notices, workers, 1 when more may be stuck}.
local NOTICES_MOST = 100
local now = milliseconds()
local more = heed_stalls(now) and 1 or 0
local due = redis.call('ZRANGE', GM .. 'notices', '-inf', now, 'BYSCORE', 'LIMIT', 0, NOTICES_MOST)
return {#due, redis.call('ZCARD', GM .. 'workers'), more}
