--@ uses batches/ending
-- The end of an open batch's input: by `close`, or because nothing was added for `close_after` ms.
--   closing  zset  open batch that has `close_after` -> when it is closed, ms
local CLOSED_MOST = 100

local function close_batch(batch, now, by)
  redis.call('HSET', key(batch, 'state'), 'input_ended', now, 'input_ended_by', by)
  redis.call('ZREM', GM .. 'closing', batch)
  heed_halt(batch, now)
  release(batch, now)
  finish(batch, now)
end

-- An open batch gets more time with each item, and anew after a gap: nobody could add any.
local function postpone_closing(batch, close_after, now)
  if close_after then redis.call('ZADD', GM .. 'closing', now + close_after, batch) end
end

local function close_due(now)
  for _, batch in ipairs(redis.call('ZRANGE', GM .. 'closing', '-inf', now, 'BYSCORE', 'LIMIT', 0, CLOSED_MOST)) do
    if work_left <= 0 then return end
    local b = state(batch, {'open', 'input_ended', 'close_after'}, {})
    local is_open = b.open and not b.input_ended
    if is_open and silence.ends_after_gap(0, b.close_after, now) > now then
      postpone_closing(batch, b.close_after, silence.last_gap(now))
    else
      if is_open then close_batch(batch, now, 'close_after') end
      redis.call('ZREM', GM .. 'closing', batch)
    end
  end
end
