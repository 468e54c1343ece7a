--@ uses batches/notices batches/silence
-- Batches that are stuck: none of their items has ended for as long as they said.
--   stalls  zset  batch that has `stuck_after` and has not ended -> when to look at it, ms
--   state fields  stuck_after  milliseconds without the end of an item after which the batch is stuck
--                 moved        when an item ended last, or none could end, ms
--                 stuck        the value of `moved` of which a notice has told
-- Batches that one call looks at, at most; how often an idle one is looked at, by its `stuck_after`.
local STALLS_MOST, IDLE_MS_LEAST, IDLE_MS_MOST = 50, 1000, 60000

-- Whether no item of a batch can end now: nothing is to run, unless a producer that is gone owes it more.
local function is_idle(b, now)
  if b.paused or b.waiting then return true end
  local abandoned = not b.input_ended and (tonumber(b.producer_until) or now) < silence.gone_before(now)
  return left_of(b) == 0 and not abandoned
end

-- Look at a batch that may be stuck; returns when to look again.
local function look_at_stall(batch, b, now)
  local after, moved = tonumber(b.stuck_after), tonumber(b.moved or b.created)
  local soon = now + math.min(math.max(after / 10, IDLE_MS_LEAST), IDLE_MS_MOST)
  local ends = silence.ends_after_gap(moved + after, after, now)
  if is_idle(b, now) then
    redis.call('HSET', key(batch, 'state'), 'moved', now)
  elseif ends > now then
    return ends
  elseif tonumber(b.stuck) ~= moved then
    redis.call('HSET', key(batch, 'state'), 'stuck', moved)
    notices.tell_stuck(batch, b, moved, now)
  end
  return soon
end

-- Look at the batches that are due; returns whether there may be more.
local function heed_stalls(now)
  local due = redis.call('ZRANGE', GM .. 'stalls', '-inf', now, 'BYSCORE', 'LIMIT', 0, STALLS_MOST)
  for _, batch in ipairs(due) do
    local b = notices.read(batch)
    if b.finished or not b.stuck_after then
      redis.call('ZREM', GM .. 'stalls', batch)
    else
      redis.call('ZADD', GM .. 'stalls', look_at_stall(batch, b, now), batch)
    end
  end
  return #due == STALLS_MOST
end
