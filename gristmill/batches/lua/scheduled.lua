--@ uses batches/ledger
-- A batch that begins at a time of its own: until then it is paused, and `scheduled_at` of its state says when, ms.
--   scheduled  zset  such a batch -> when it begins, ms
local SCHEDULED_MOST = 100

local function hold_until(batch, at, now)
  redis.call('HSET', key(batch, 'state'), 'paused', now)
  redis.call('ZADD', GM .. 'scheduled', at, batch)
end

-- The batch does not begin by its time any more: it has begun, has ended, or is paused until somebody resumes it.
local function forget_time(batch)
  redis.call('HDEL', key(batch, 'state'), 'scheduled_at')
  redis.call('ZREM', GM .. 'scheduled', batch)
end
