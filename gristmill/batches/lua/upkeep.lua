--@ uses batches/ending batches/closing batches/workers
-- What comes due: whoever looks at the fleet does it, and a worker each second. It looks at what changed or came due, never
-- at all that stands.
local UNSEEN_MS = 3000
-- Workers that one call removes, batches that it looks at, and chunks that it looks at of one batch, and of all, about.
local WORKERS_MOST, BATCHES_MOST, CHUNKS_MOST = 100, 100, 100
local chunks_left = 2 * CHUNKS_MOST

local function remove_silent(now)
  local silent = redis.call('ZRANGE', GM .. 'workers', '-inf', silence.gone_before(now), 'BYSCORE', 'LIMIT', 0, WORKERS_MOST)
  for _, worker in ipairs(silent) do
    -- It was alive when it was last heard of.
    note_event('death', worker, redis.call('ZSCORE', GM .. 'workers', worker))
    remove_worker(worker)
  end
end

-- A chunk whose worker dies comes back by itself: its message stands on the queue until it is acknowledged. Only a
-- message that is gone (a purge, an operator's DEL) leaves a chunk that no worker shows and nobody will. Returns when to
-- look again.
local function replace_messages(batch, b, now)
  local number = redis.call('ZCOUNT', key(batch, 'in_flight'), '-inf', now - UNSEEN_MS)
  if number == 0 then return next_look(now) end
  -- Those of a worker that has died stay where they are: each look at many begins elsewhere.
  math.randomseed(now)
  local first = math.random(0, math.max(0, number - CHUNKS_MOST))
  local unseen =
    redis.call('ZRANGE', key(batch, 'in_flight'), '-inf', now - UNSEEN_MS, 'BYSCORE', 'LIMIT', first, CHUNKS_MOST)
  chunks_left = chunks_left - #unseen
  local places = redis.call('HMGET', key(batch, 'message_of'), unpack(unseen))
  local runners = redis.call('HMGET', key(batch, 'started'), unpack(unseen))
  local seen, lost = {}, 0
  for i, chunk in ipairs(unseen) do
    if not (places[i] and stands(b.queue, places[i])) then
      redis.call('HDEL', key(batch, 'started'), chunk)
      local first, count = range_of(chunk)
      hand_out(batch, b, first, count, now)
      lost = lost + 1
    elseif not runners[i] then
      -- It waits on the queue: the next look begins with others.
      seen[#seen + 1], seen[#seen + 2] = now, chunk
    end
  end
  if #seen > 0 then redis.call('ZADD', key(batch, 'in_flight'), 'XX', unpack(seen)) end
  -- Others may be lost with these.
  return lost > 0 and now or next_look(now)
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
  local again = chunks_left > 0 and replace_messages(batch, b, now) or next_look(now)
  release(batch, now)
  if redis.call('EXISTS', key(batch, 'in_flight')) == 1 then look_by(batch, again) end
  local attempt = redis.call('ZRANGE', key(batch, 'retry'), 0, 0, 'WITHSCORES')
  -- One that is due and was not handed out waits for room, which `record` makes.
  if attempt[2] then look_by(batch, math.max(tonumber(attempt[2]), now + LOOK_MS / 3)) end
end

-- Batches whose time has come begin.
local function begin_scheduled(now)
  for _, batch in ipairs(redis.call('ZRANGE', GM .. 'scheduled', '-inf', now, 'BYSCORE', 'LIMIT', 0, SCHEDULED_MOST)) do
    if work_left <= 0 then return end
    set_paused(batch, false, now)
    forget_time(batch)
    look_by(batch, now)
    release(batch, now)
  end
end

local function upkeep(now)
  silence.note_gap(now)
  remove_silent(now)
  -- These come once. What comes again and again leaves a part of the call to what is behind it.
  close_due(now)
  begin_scheduled(now)
  for _, batch in ipairs(redis.call('ZRANGE', GM .. 'due', '-inf', now, 'BYSCORE', 'LIMIT', 0, BATCHES_MOST)) do
    if work_left <= CALL_MOST / 2 then break end
    look(batch, now)
  end
  release_paced(now)
end
