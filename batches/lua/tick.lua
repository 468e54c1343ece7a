-- A worker's sign of life, once a second: its beat, the chunks it holds, and the healing of every active batch.
-- ARGV: prefix, worker, beat (JSON: queue, slots and what else is shown), lease of a chunk in ms,
--       then for each chunk it holds: batch, first:count.
-- Returns how many outcomes it has recorded.
-- Touches: workers, beats, announced, items, slots, taken, healing, active, and of each active batch what release
-- touches.
--   workers  zset  worker -> when it was last heard of, ms       beats  hash  worker -> its beat
--   announced  hash  worker -> the tasks it knows                 healing  string  the worker that heals this second
local SILENT, ALONE = 10000, 3000
local now = milliseconds()
redis.call('ZADD', GM .. 'workers', now, ARGV[2])
redis.call('HSET', GM .. 'beats', ARGV[2], ARGV[3])
for i = 5, #ARGV, 2 do redis.call('ZADD', key(ARGV[i], 'window'), 'XX', now, ARGV[i + 1]) end
local items = tonumber(redis.call('HGET', GM .. 'items', ARGV[2]) or 0)
if not redis.call('SET', GM .. 'healing', ARGV[2], 'NX', 'PX', 900) then return items end

for _, silent in ipairs(redis.call('ZRANGEBYSCORE', GM .. 'workers', '-inf', now - SILENT)) do
  redis.call('ZREM', GM .. 'workers', silent)
  redis.call('HDEL', GM .. 'beats', silent)
  redis.call('HDEL', GM .. 'announced', silent)
  redis.call('HDEL', GM .. 'items', silent)
end
local slots, listeners = {}, {}
for _, beat in ipairs(redis.call('HVALS', GM .. 'beats')) do
  local worker = cjson.decode(beat)
  slots[worker.queue] = (slots[worker.queue] or 0) + worker.slots
  listeners[worker.queue] = (listeners[worker.queue] or 0) + 1
end
redis.call('DEL', GM .. 'slots')
for queue, total in pairs(slots) do redis.call('HSET', GM .. 'slots', queue, total) end

-- A chunk is dropped when no worker has shown it for a lease and it is not waiting: the queue is empty, or a chunk
-- that was put later has been taken. With one worker alone, what that worker does not hold nobody holds.
local mine = cjson.decode(ARGV[3]).queue
for _, batch in ipairs(redis.call('SMEMBERS', GM .. 'active')) do
  local b = state(batch, {'queue', 'epoch'}, {})
  if b.queue then
    local lease = tonumber(ARGV[4])
    if b.queue == mine and listeners[mine] == 1 then lease = math.min(lease, ALONE) end
    local passed = waiting(b.queue) == 0 and now or tonumber(redis.call('HGET', GM .. 'taken', b.queue) or 0)
    local silent = redis.call('ZRANGEBYSCORE', key(batch, 'window'), '-inf', '(' .. math.min(now - lease, passed))
    for _, chunk in ipairs(silent) do
      local first, count = string.match(chunk, '^(%d+):(%d+)$')
      hand_out(batch, b, first, count, now)
    end
    release(batch, now)
  end
end
return items
