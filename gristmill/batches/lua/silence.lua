--@ uses server/keys
-- When a worker's silence says that it is gone.
--   clock  hash  field gap: when workers were heard of again after GAP_MS without any, or somebody missed them, ms
-- Milliseconds of silence after which a worker is gone, and a chunk that it ran does not run any more.
local GONE_MS = 10000
local GAP_MS = 5000

-- When the last gap in the heartbeats was, of which `noted` is known; to be called before a heartbeat counts.
local function gap_at(now, noted)
  local latest = tonumber(redis.call('ZRANGE', GM .. 'workers', 0, 0, 'REV', 'WITHSCORES')[2])
  if not latest or now - latest <= GAP_MS or noted > latest then return noted end
  redis.call('HSET', GM .. 'clock', 'gap', now)
  return now
end

-- Who was last heard of before this, ms, is gone. After a gap, because the server was away or its clock was set forward,
-- all have time to be heard of first.
local function gone_before(now)
  local gap = gap_at(now, tonumber(redis.call('HGET', GM .. 'clock', 'gap')) or 0)
  return now - gap < GONE_MS and 0 or now - GONE_MS
end
