--@ uses batches/ending
-- What comes due: whoever looks at the fleet does it, and a worker each second. It looks at what changed or came due, never
-- at all that stands.
--   workers   zset  worker -> when it was last heard of, ms     heartbeats  hash  worker -> its last one
--   slots_of  hash  worker -> its slots, a space, its queue     items  hash  worker -> see record.lua
--   announced hash  worker -> the tasks it knows
local SILENT_MS, UNSEEN_MS = 10000, 3000
-- Batches, and chunks of one batch, that one call looks at, at most.
local BATCHES_MOST, CHUNKS_MOST = 100, 500

-- Count the slots of a worker, or with 0 count them no more.
local function count_slots(worker, slots, queue)
  local slots_before, queue_before = string.match(redis.call('HGET', GM .. 'slots_of', worker) or '', '^(%d+) (.*)$')
  if slots_before then redis.call('HINCRBY', GM .. 'slots', queue_before, -slots_before) end
  if slots == 0 then redis.call('HDEL', GM .. 'slots_of', worker) return end
  redis.call('HSET', GM .. 'slots_of', worker, slots .. ' ' .. queue)
  redis.call('HINCRBY', GM .. 'slots', queue, slots)
end

-- A worker has left, or is dead.
local function remove_worker(worker)
  redis.call('ZREM', GM .. 'workers', worker)
  for _, part in ipairs({'heartbeats', 'announced', 'items'}) do redis.call('HDEL', GM .. part, worker) end
  redis.call('DEL', GM .. 'meters:of:' .. worker, GM .. 'kill:' .. worker)
  count_slots(worker, 0, '')
end

local function remove_silent(now)
  local silent = redis.call('ZRANGE', GM .. 'workers', '-inf', now - SILENT_MS, 'BYSCORE', 'LIMIT', 0, BATCHES_MOST)
  for _, worker in ipairs(silent) do remove_worker(worker) end
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
  local b = state(batch, {'queue', 'epoch', 'paused', 'cancelling', 'finished'}, {'priority'})
  if not b.queue or b.finished then return end
  if b.cancelling then settle(batch, now, {}) return end
  if b.paused then return end
  replace_messages(batch, b, now)
  release(batch, now)
  if redis.call('EXISTS', key(batch, 'in_flight')) == 1 then look_by(batch, next_look(now)) end
  local attempt = redis.call('ZRANGE', key(batch, 'retry'), 0, 0, 'WITHSCORES')
  -- One that is due and was not handed out waits for room, which `record` makes.
  if attempt[2] then look_by(batch, math.max(tonumber(attempt[2]), now + LOOK_MS / 3)) end
end

local function upkeep(now)
  remove_silent(now)
  for _, batch in ipairs(redis.call('ZRANGE', GM .. 'due', '-inf', now, 'BYSCORE', 'LIMIT', 0, BATCHES_MOST)) do
    look(batch, now)
  end
end
