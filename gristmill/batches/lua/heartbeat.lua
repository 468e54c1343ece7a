-- A worker's sign of life, once a second: its beat, the chunks it holds, and the healing of every active batch.
-- ARGV: prefix, worker, beat (JSON: queue, slots and what else is shown),
--       then for each message of a chunk that it holds: batch, first:count.
-- Returns how many outcomes it has recorded.
-- Touches: workers, beats, announced, items, meters:of:{worker}, slots, healing, active, and of each active batch what
-- release touches.
--   workers  zset  worker -> when it was last heard of, ms       beats  hash  worker -> its beat
--   announced  hash  worker -> the tasks it knows                 healing  string  the worker that heals this second
local SILENT, UNSEEN = 10000, 3000
local now = milliseconds()
local came = redis.call('ZADD', GM .. 'workers', now, ARGV[2]) == 1
redis.call('HSET', GM .. 'beats', ARGV[2], ARGV[3])
local held = {}
for i = 4, #ARGV, 2 do
  local batch, chunk = ARGV[i], ARGV[i + 1]
  held[batch] = held[batch] or {}
  held[batch][chunk] = true
  redis.call('ZADD', key(batch, 'window'), 'XX', now, chunk)
end
-- Under a message that it holds, a slot may have gone on with another chunk.
for batch, messages in pairs(held) do
  local begun = redis.call('HGETALL', key(batch, 'begun'))
  for i = 1, #begun, 2 do
    local worker, message = string.match(begun[i + 1], '^(.*) (.*)$')
    if worker == ARGV[2] and messages[message] then
      redis.call('ZADD', key(batch, 'window'), 'XX', now, begun[i])
    end
  end
end
local function count_slots()
  local slots = {}
  for _, beat in ipairs(redis.call('HVALS', GM .. 'beats')) do
    local worker = cjson.decode(beat)
    slots[worker.queue] = (slots[worker.queue] or 0) + worker.slots
  end
  redis.call('DEL', GM .. 'slots')
  for queue, total in pairs(slots) do redis.call('HSET', GM .. 'slots', queue, total) end
end
-- Without a count of slots, a batch would be cut for a fleet that is not there.
if came then count_slots() end
local items = tonumber(redis.call('HGET', GM .. 'items', ARGV[2]) or 0)
if not redis.call('SET', GM .. 'healing', ARGV[2], 'NX', 'PX', 900) then return items end

for _, silent in ipairs(redis.call('ZRANGEBYSCORE', GM .. 'workers', '-inf', now - SILENT)) do
  redis.call('ZREM', GM .. 'workers', silent)
  redis.call('HDEL', GM .. 'beats', silent)
  redis.call('HDEL', GM .. 'announced', silent)
  redis.call('HDEL', GM .. 'items', silent)
  redis.call('DEL', GM .. 'meters:of:' .. silent)
end
count_slots()

-- A chunk whose worker dies comes back by itself: its message stands on the queue until it is acknowledged. Only a
-- message that is gone (a purge, an operator's DEL) leaves a chunk that no worker shows and nobody will.
for _, batch in ipairs(redis.call('SMEMBERS', GM .. 'active')) do
  local b = state(batch, {'queue', 'epoch', 'paused', 'cancelling'}, {'priority'})
  if b.cancelling then
    settle(batch, now, {})
  elseif b.queue and not b.paused then
    for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'window'), '-inf', now - UNSEEN, 'BYSCORE')) do
      local place = redis.call('HGET', key(batch, 'sent'), chunk)
      if not (place and stands(b.queue, place)) then
        local first, count = string.match(chunk, '^(%d+):(%d+)$')
        redis.call('HDEL', key(batch, 'begun'), chunk)
        hand_out(batch, b, first, count, now)
      end
    end
    release(batch, now)
  end
end
return items
