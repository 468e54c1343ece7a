--@ uses batches/ending batches/closing batches/workers
-- What comes due: whoever looks at the fleet does it, and a worker each second. It looks at what changed or came due, never
-- at all that stands.
local UNSEEN_MS = 3000
-- Batches, and chunks of one batch, that one call looks at, at most.
local BATCHES_MOST, CHUNKS_MOST = 100, 500

local function remove_silent(now)
  local silent = redis.call('ZRANGE', GM .. 'workers', '-inf', silence.gone_before(now), 'BYSCORE', 'LIMIT', 0, BATCHES_MOST)
  for _, worker in ipairs(silent) do
    -- It was alive when it was last heard of.
    note_event('death', worker, redis.call('ZSCORE', GM .. 'workers', worker))
    remove_worker(worker)
  end
end

-- A chunk whose worker dies comes back by itself: its message stands on the queue until it is acknowledged. Only a
-- message that is gone (a purge, an operator's DEL) leaves a chunk that no worker shows and nobody will.
local function replace_messages(batch, b, now)
  local unseen = redis.call('ZRANGE', key(batch, 'in_flight'), '-inf', now - UNSEEN_MS, 'BYSCORE', 'LIMIT', 0, CHUNKS_MOST)
  for _, chunk in ipairs(unseen) do
    local place = redis.call('HGET', key(batch, 'message_of'), chunk)
    if not (place and stands(b.queue, place)) then
      redis.call('HDEL', key(batch, 'started'), chunk)
      local first, count = range_of(chunk)
      hand_out(batch, b, first, count, now)
    elseif redis.call('HEXISTS', key(batch, 'started'), chunk) == 0 then
      -- It waits on the queue: the next look begins with others.
      see_chunk(batch, chunk, now)
    end
  end
end

-- Look at a batch that is due: hand out attempts and what was lost, settle what was cancelled; then say when to look again.
local function look(batch, now)
  redis.call('ZREM', GM .. 'due', batch)
  local b = state(batch, {'queue', 'epoch', 'paused', 'cancelling', 'finished', 'waiting', 'slots', 'memory', 'ttl', 'has_takers', 'behind'},
    {'priority', 'stored'})
  if not b.queue then return end
  if b.finished then
    let_go(batch, b, now)
    return
  end
  if b.cancelling then settle(batch, now, {}) return end
  if b.behind then sources.take(batch, now) end
  if b.paused or b.waiting then return end
  replace_messages(batch, b, now)
  release(batch, now)
  if redis.call('EXISTS', key(batch, 'in_flight')) == 1 then look_by(batch, next_look(now)) end
  local attempt = redis.call('ZRANGE', key(batch, 'retry'), 0, 0, 'WITHSCORES')
  -- One that is due and was not handed out waits for room, which `record` makes.
  if attempt[2] then look_by(batch, math.max(tonumber(attempt[2]), now + LOOK_MS / 3)) end
end

-- Batches whose time has come begin.
local function begin_scheduled(now)
  for _, batch in ipairs(redis.call('ZRANGE', GM .. 'scheduled', '-inf', now, 'BYSCORE', 'LIMIT', 0, SCHEDULED_MOST)) do
    set_paused(batch, false, now)
    forget_time(batch)
    look_by(batch, now)
    release(batch, now)
  end
end

local function upkeep(now)
  silence.note_gap(now)
  remove_silent(now)
  for _, batch in ipairs(redis.call('ZRANGE', GM .. 'due', '-inf', now, 'BYSCORE', 'LIMIT', 0, BATCHES_MOST)) do
    look(batch, now)
  end
  release_paced(now)
  close_due(now)
  begin_scheduled(now)
end
