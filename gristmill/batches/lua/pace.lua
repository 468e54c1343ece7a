--@ pace() frees
--@ uses batches/release
-- Hand out what the rates of batches let by now: a worker asks for that between its heartbeats, while there is such a batch.
-- Touches: pacing, and what release touches. Returns in how many ms to ask again, or -1.
local now = milliseconds()
release_paced(now)
return until_paced(now)
