--@ uses server/keys
-- When silence says that somebody is gone, or that nothing comes any more.
--   clock  hash  field gap: when workers were heard of again after GAP_MS without any, or somebody missed them, ms
local silence = {}
do
  -- Milliseconds of silence after which a worker or a producer is gone, and a chunk that it ran does not run any more.
  local GONE_MS = 10000
  local GAP_MS = 5000

  -- When the last gap ended of those that somebody has noted: where all workers are dead, nobody notes the present one.
  function silence.noted_gap() return tonumber(redis.call('HGET', GM .. 'clock', 'gap')) or 0 end

  -- When the last gap in the heartbeats ended, because the server was away, or its clock was set forward: now, where nobody
  -- has noted that yet.
  function silence.last_gap(now)
    local noted = silence.noted_gap()
    local latest = tonumber(redis.call('ZRANGE', GM .. 'workers', 0, 0, 'REV', 'WITHSCORES')[2])
    local is_new = latest and now - latest > GAP_MS and noted <= latest
    return is_new and now or noted
  end

  -- To be called before a heartbeat counts, and where workers are missed.
  function silence.note_gap(now)
    if silence.last_gap(now) == now then redis.call('HSET', GM .. 'clock', 'gap', now) end
  end

  -- When a time of `ms` ends that was to end at `ends`, unless there is a sign before: after a gap it begins anew.
  function silence.ends_after_gap(ends, ms, now) return math.max(ends, silence.last_gap(now) + ms) end

  -- Who was last heard of before this, ms, is gone. After a `gap`, by default the last one, all have time to be heard of
  -- first.
  function silence.gone_before(now, gap)
    return now - (gap or silence.last_gap(now)) < GONE_MS and 0 or now - GONE_MS
  end
end
