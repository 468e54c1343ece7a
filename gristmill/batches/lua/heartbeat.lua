--@ heartbeat(worker, queue, slots: number, async_items: number, details, runs, samples: flag, chunks: list, ended: list, counts: list) frees
--@ uses batches/samples broker/watchers
-- A worker's sign of life, once a second: its slots, what is shown of it (`details`, JSON), and the chunks whose messages it
-- holds, as batch and chunk by turns. Each slot can run `async_items` items of an async task at once. It also does what has
-- come due, wakes another reader of its queue in place of one that is stopped, and with `samples` meters the second: `counts`
-- are of the plain Celery tasks that the worker ran. `runs` (JSON, or empty) has the items that have run for long on the
-- worker, for busy.lua. `ended` has the ids of messages that the worker was to end, and has seen.
-- Touches: clock, workers, worker_events, the alarm of the queue, heartbeats, items, slots, slots_of, async_items, kill:{worker}, busy:{worker}, wish:{worker}, of each batch with
-- such chunks in_flight, and what upkeep, release and samples.lua touch. Returns {outcomes that the worker has recorded, 1 if the registry did not have the
-- worker, ids of messages that it is to end, in how many ms to call pace.lua, or -1, what is asked of it, 1 if it is to look at
-- schedules, 1 if it is to look at notices, 1 if the fleet lacks a watcher}.
local BUSY_KEPT_MS = 5000
wind_clock()
local now = milliseconds()
silence.note_gap(now)
local is_new = redis.call('ZADD', GM .. 'workers', now, worker)
if is_new == 1 then note_event('start', worker, now) end
redis.call('HSET', GM .. 'heartbeats', worker, details)
local wish, is_held = wish_of(worker)
if is_held then slots = 0 end
if wish[1] or wish[3] then redis.call('PEXPIRE', wish_key(worker), WISH_KEPT_MS) end
if redis.call('HGET', GM .. 'slots_of', worker) ~= string.format('%d %s', slots, queue) then
  count_slots(worker, slots, queue)
end
if async_items > 1 and redis.call('HGET', GM .. 'async_items', queue) ~= tostring(async_items) then
  redis.call('HSET', GM .. 'async_items', queue, async_items)
end

if runs ~= '' then
  redis.call('SET', GM .. 'busy:' .. worker, now .. ' ' .. runs, 'PX', BUSY_KEPT_MS)
else
  redis.call('DEL', GM .. 'busy:' .. worker)
end

local recorded = {}
for i = 1, #chunks, 2 do
  local batch, chunk = chunks[i], chunks[i + 1]
  if not see_chunk(batch, chunk, now) then
    recorded[batch] = recorded[batch] or {}
    recorded[batch][chunk] = true
  end
end
-- Under a message whose own chunk is recorded, a slot has gone on with another one. Only then somebody walks all that run:
-- items that take long are recorded one by one.
for batch, messages in pairs(recorded) do
  local started = redis.call('HGETALL', key(batch, 'started'))
  for i = 1, #started, 2 do
    local runner, message = runner_of(started[i + 1])
    if runner == worker and messages[message] then see_chunk(batch, started[i], now) end
  end
end

-- With the run of a cancelled item its process has ended, and the message of its chunk may be gone: the neighbours need not
-- wait until the chunk has been unseen for long. While the message stands, nothing is put again.
local function let_neighbours_go_on(batch, index)
  for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)) do
    local first, count = range_of(chunk)
    local runner = runner_of(redis.call('HGET', key(batch, 'started'), chunk))
    if runner == worker and first <= index and index < first + count then
      redis.call('ZADD', key(batch, 'in_flight'), 'XX', now - UNSEEN_MS, chunk)
      look_by(batch, now)
    end
  end
end

for _, id in ipairs(ended) do
  redis.call('SREM', GM .. 'kill:' .. worker, id)
  local batch, index = string.match(id, '^(.+)#(%d+)$')
  if batch then let_neighbours_go_on(batch, tonumber(index)) end
end
ring_again(queue)
upkeep(now)
release_wanting(queue, CALL_MOST, now)
release_in_line(queue, work_left, now)
if samples then
  count_plain(now, worker, counts)
  if begin_second(now) then sample_second(now) end
end
local kills = redis.call('SMEMBERS', GM .. 'kill:' .. worker)
-- Whoever looks at schedules notes that somebody has, also while none is due.
local has_schedules = redis.call('EXISTS', GM .. 'schedules_due', GM .. 'schedule_watch') > 0 and 1 or 0
local has_notices = redis.call('EXISTS', GM .. 'notices', GM .. 'stalls') > 0 and 1 or 0
local items = tonumber(redis.call('HGET', GM .. 'items', worker) or 0)
return {items, is_new, kills, until_paced(now), wish, has_schedules, has_notices, has_seat(now) and 1 or 0}
