--@ uses batches/flight_counts
-- Chunks in flight: handed out, and not recorded yet. A chunk is named {first}:{count}, after its items.
--   batch:{b}:in_flight   zset  chunk -> when it was last put or seen, ms
--   batch:{b}:message_of  hash  chunk -> the place of its message on the queue
--   batch:{b}:started     hash  chunk that runs -> worker that took it, a space, chunk of the message it is under
--   batch:{b}:remainder   zset  what chunks that ran over did not get to, as chunks -> first

local function chunk_of(first, count) return first .. ':' .. count end

-- The index of a chunk's first item, and the number of its items.
local function range_of(chunk)
  local first, count = string.match(chunk, '^(%d+):(%d+)$')
  return tonumber(first), tonumber(count)
end

-- Put a chunk in flight: from now on it is somebody's to run.
local function enter_flight(batch, queue, chunk, now)
  local new = redis.call('ZADD', key(batch, 'in_flight'), now, chunk)
  if new == 0 then return end
  redis.call('HINCRBY', GM .. 'queue:' .. queue, 'in_flight', 1)
  count_flights(batch, {chunk}, 1)
end

-- Take a chunk out of flight; returns whether it was there. With the time `now`, others of its value may be handed out.
local function leave_flight(batch, queue, chunk, now)
  redis.call('HDEL', key(batch, 'message_of'), chunk)
  redis.call('HDEL', key(batch, 'started'), chunk)
  if redis.call('ZREM', key(batch, 'in_flight'), chunk) == 0 then return false end
  redis.call('HINCRBY', GM .. 'queue:' .. queue, 'in_flight', -1)
  count_flights(batch, {chunk}, -1, now)
  return true
end

-- No chunk of the batch is in flight any more.
local function end_flights(batch, queue)
  local chunks = redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)
  if #chunks > 0 then redis.call('HINCRBY', GM .. 'queue:' .. queue, 'in_flight', -#chunks) end
  count_flights(batch, chunks, -1)
  redis.call('DEL', key(batch, 'in_flight'), key(batch, 'message_of'), key(batch, 'started'))
end

-- Note that somebody works on a chunk that is in flight.
local function see_chunk(batch, chunk, now) redis.call('ZADD', key(batch, 'in_flight'), 'XX', now, chunk) end

-- Note that `worker` runs a chunk, under the message of the chunk `message`.
local function start_chunk(batch, chunk, worker, message)
  redis.call('HSET', key(batch, 'started'), chunk, worker .. ' ' .. message)
end

-- The worker in an entry of `started`, and the chunk of its message; nil where nobody runs the chunk.
local function runner_of(entry) return string.match(entry or '', '^(.*) (.*)$') end
