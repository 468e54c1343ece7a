--@ uses batches/flight_counts
-- Chunks in flight: handed out, and not recorded yet. A chunk is named {first}:{count}, after its items.
--   batch:{b}:in_flight   zset  chunk -> when it was last put or seen, ms
--   batch:{b}:message_of  hash  chunk -> the place of its message on the queue
--   batch:{b}:started     hash  chunk that runs -> worker that took it, a space, chunk of the message it is under
--   batch:{b}:remainder   zset  what chunks that ran over did not get to, as chunks -> first

-- The queues on which a chunk has left flight in this call: others may wait for its place.
local left_queues = {}

local function chunk_of(first, count) return first .. ':' .. count end

-- The index of a chunk's first item, and the number of its items.
local function range_of(chunk)
  local first, count = string.match(chunk, '^(%d+):(%d+)$')
  return tonumber(first), tonumber(count)
end

-- What counting its chunks needs of a batch, as fields of its state.
local function flight_state(batch)
  return state(batch, {'queue', 'task', 'is_async', 'limit_by', 'max_running', 'task_limit_by', 'task_max_running'}, {'priority'})
end

local function level_field(level) return 'in_flight:' .. level end

-- Chunks of one priority that are in flight on a queue.
local function flights_on(queue, level)
  return tonumber(redis.call('HGET', GM .. 'queue:' .. queue, level_field(level)) or 0)
end

local function count_flights(batch, b, chunks, sign, now)
  redis.call('HINCRBY', GM .. 'queue:' .. b.queue, level_field(b.priority), sign * #chunks)
  if sign < 0 then left_queues[b.queue] = true end
  count_limited(batch, b, chunks, sign, now)
end

-- Put a chunk in flight: from now on it is somebody's to run. Here and below, `b` has the fields of flight_state.
local function enter_flight(batch, b, chunk, now)
  if redis.call('ZADD', key(batch, 'in_flight'), now, chunk) == 1 then count_flights(batch, b, {chunk}, 1) end
end

-- Take a chunk out of flight; returns whether it was there. With the time `now`, others of its value may be handed out.
local function leave_flight(batch, b, chunk, now)
  redis.call('HDEL', key(batch, 'message_of'), chunk)
  redis.call('HDEL', key(batch, 'started'), chunk)
  if redis.call('ZREM', key(batch, 'in_flight'), chunk) == 0 then return false end
  count_flights(batch, b, {chunk}, -1, now)
  return true
end

-- No chunk of the batch is in flight any more.
local function end_flights(batch)
  local chunks = redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)
  if #chunks > 0 then count_flights(batch, flight_state(batch), chunks, -1) end
  redis.call('DEL', key(batch, 'in_flight'), key(batch, 'message_of'), key(batch, 'started'))
end

-- Note that somebody works on a chunk that is in flight; returns false if it is not.
local function see_chunk(batch, chunk, now)
  return redis.call('ZADD', key(batch, 'in_flight'), 'XX', 'CH', now, chunk) == 1
    or redis.call('ZSCORE', key(batch, 'in_flight'), chunk)
end

-- Note that `worker` runs a chunk, under the message of the chunk `message`.
local function start_chunk(batch, chunk, worker, message)
  redis.call('HSET', key(batch, 'started'), chunk, worker .. ' ' .. message)
end

-- The worker in an entry of `started`, and the chunk of its message; nil where nobody runs the chunk.
local function runner_of(entry) return string.match(entry or '', '^(.*) (.*)$') end

-- The chunk that a slot went on with under the message of the chunk `message`, which has left flight; nil if there is none.
local function chunk_under(batch, message)
  local started = redis.call('HGETALL', key(batch, 'started'))
  for i = 1, #started, 2 do
    local _, under = runner_of(started[i + 1])
    if under == message then return started[i] end
  end
end
