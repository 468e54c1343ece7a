--@ uses server/keys
-- The registry of workers: who lives, with how many slots.
--   workers   zset  worker -> when it was last heard of, ms     heartbeats  hash  worker -> its last one
--   slots_of  hash  worker -> its slots, a space, its queue     items  hash  worker -> see record.lua
--   announced hash  worker -> the tasks it knows        setup_failures  hash  worker -> task -> why its setup fails (JSON)
--   busy:{worker}  string  when it was told, ms, a space, and the items that have run there for long (JSON); expires
--   wish:{worker}  hash  what others ask of it: `drain` (who asked; it takes no messages), `stop` (it ends once drained),
--                     `slots` (how many it should have; with 0 it takes no messages either); expires an hour after it was last seen
--   async_items hash queue -> items of an async task that a slot can run at once, as the worker last heard of says
--   worker_events  stream  what became of workers, the last ones: what (start, end, death), worker, at (ms)
local EVENTS_KEPT = 1000

local function note_event(what, worker, at)
  redis.call('XADD', GM .. 'worker_events', 'MAXLEN', '~', EVENTS_KEPT, '*', 'what', what, 'worker', worker, 'at', at)
end

-- Count the slots of a worker, or with 0 count them no more.
local function count_slots(worker, slots, queue)
  local slots_before, queue_before = string.match(redis.call('HGET', GM .. 'slots_of', worker) or '', '^(%d+) (.*)$')
  if slots_before then redis.call('HINCRBY', GM .. 'slots', queue_before, -slots_before) end
  if slots == 0 then redis.call('HDEL', GM .. 'slots_of', worker) return end
  redis.call('HSET', GM .. 'slots_of', worker, slots .. ' ' .. queue)
  redis.call('HINCRBY', GM .. 'slots', queue, slots)
end

local WISH_KEPT_MS = 3600000

local function wish_key(worker) return GM .. 'wish:' .. worker end

-- What is asked of a worker: drain, stop and slots, each false where it is not; and whether it is to take no messages.
local function wish_of(worker)
  local wish = redis.call('HMGET', wish_key(worker), 'drain', 'stop', 'slots')
  return wish, wish[1] or wish[3] == '0'
end

-- A worker has left, or is dead.
local function remove_worker(worker)
  redis.call('ZREM', GM .. 'workers', worker)
  for _, part in ipairs({'heartbeats', 'announced', 'setup_failures', 'items'}) do redis.call('HDEL', GM .. part, worker) end
  redis.call('DEL', GM .. 'meters:of:' .. worker, GM .. 'kill:' .. worker, GM .. 'busy:' .. worker)
  count_slots(worker, 0, '')
end
