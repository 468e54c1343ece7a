--@ uses batches/upkeep batches/counts batches/blocks
-- What a second saw: samples of the queues and machines, once a second, and the seconds that are over, in wider buckets.
-- Touches: active, heartbeats, workers, meters:1:{t}, meters:open, queue:{q}, the state, done and in of active batches, and
--   meters:10:{t}, meters:60:{t}, meters:300:{t}  hash  what the 10, 60 or 300 seconds from t on saw
--   meters:total  hash  {queue}|{what}|{task} -> the same since ever
-- Fields beside those of counts.lua, each a sum over samples (n says how many):
--   q|{what}|{queue}  items left, in paused batches (held), age of the oldest in ms (oldest), slots, busy slots
--   h|{what}|{machine}  cores, percent of them busy (cpu), memory in use and in total, MiB (used, memory)
local KEPT = {[1] = 330, [10] = 3960, [60] = 22320, [300] = 87600}
local LIVE_MS = 3000
-- Batches among which the oldest item is looked for, at most, and seconds within which each of them is looked at.
local OLDEST_MOST, OLDEST_TURNS = 100, 10

-- Count plain Celery tasks that `worker` ran: queue, task, what, number.
local function count_plain(now, worker, counts)
  for i = 1, #counts, 4 do
    local queue, task, what, number = unpack(counts, i, i + 3)
    count_task(now, queue, task, {what, tonumber(number)})
    if what == 's' or what == 'f' then
      redis.call('HINCRBY', GM .. 'meters:of:' .. worker, queue .. '|' .. what .. '|' .. task, number)
    end
  end
  redis.call('EXPIRE', GM .. 'meters:of:' .. worker, WORKER_KEPT)
end

local samples = {}
local function sample(kind, what, name, amount)
  local field = kind .. '|' .. what .. '|' .. name
  samples[field] = (samples[field] or 0) + math.floor((tonumber(amount) or 0) + 0.5)
end

-- What a heartbeat says: nothing where it is malformed; a worker of another version may say less.
local function read_heartbeat(text)
  local read, details = pcall(cjson.decode, text or '')
  return read and type(details) == 'table' and type(details.queue) == 'string' and details or {queue = ''}
end

-- The name of a worker's machine: what a setting calls it; else its host, or for a container, which has a host name of its
-- own, a part of the machine's id.
-- Unlike machines.py, it does not join a container with a worker outside of containers on the same machine.
local function machine_of(details)
  if type(details.machine_name) == 'string' and details.machine_name ~= '' then return details.machine_name end
  if type(details.host) ~= 'string' then return nil end
  local id = details.container == true and type(details.machine) == 'string' and details.machine or ''
  return id ~= '' and 'machine ' .. string.sub(id, 1, 6) or details.host
end

-- The live workers: slots of queues, load of machines. Returns the names of the queues.
local function sample_workers(now)
  local machines, queues = {}, {cpu = true, io = true}
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', GM .. 'workers', now - LIVE_MS, '+inf')) do
    local details = read_heartbeat(redis.call('HGET', GM .. 'heartbeats', name))
    queues[details.queue] = true
    sample('q', 'slots', details.queue, details.slots)
    sample('q', 'busy', details.queue, details.busy)
    local machine = machine_of(details)
    if machine and details.cores and not machines[machine] then
      machines[machine] = true
      sample('h', 'cores', machine, details.machine_cores or details.cores)
      for _, what in ipairs({'cpu', 'used', 'memory'}) do sample('h', what, machine, details[what]) end
    end
  end
  queues[''] = nil
  return queues
end

-- The open items of a queue, and those in its paused batches.
local function items_of(queue)
  local counts = redis.call('HMGET', GM .. 'queue:' .. queue, 'open', 'paused')
  return tonumber(counts[1]) or 0, tonumber(counts[2]) or 0
end

-- Add the queues without a live worker that the last second knew, while they have items or messages. Returns whether there
-- was such a second.
local function add_last_queues(queues, second)
  local fields = redis.call('HKEYS', GM .. 'meters:1:' .. second - 1)
  for _, field in ipairs(fields) do
    local queue = string.match(field, '^q|left|(.*)$')
    if queue and not queues[queue] then
      local open, paused = items_of(queue)
      queues[queue] = open + paused + standing(queue) > 0 or nil
    end
  end
  return #fields > 0
end

-- When the oldest item without an outcome was stored, ms, of each queue. It looks at the oldest batches until no other one
-- can have an older item of a queue that it knows. For queues that it does not know yet, it looks at some others each second;
-- unless `knows` those of the last second, at all.
local function oldest_items(queues, knows, now)
  local oldest, sought = {}, {}
  for queue in pairs(queues) do sought[queue] = items_of(queue) > 0 or nil end
  local batches = redis.call('ZRANGE', GM .. 'active', 0, OLDEST_MOST - 1, 'WITHSCORES')
  local turn = math.floor(now / 1000) % OLDEST_TURNS
  for i = 1, #batches, 2 do
    local batch, created = batches[i], tonumber(batches[i + 1])
    for queue in pairs(sought) do
      if (oldest[queue] or now) <= created then sought[queue] = nil end
    end
    if next(sought) or not knows or (i - 1) / 2 % OLDEST_TURNS == turn then
      local queue = redis.call('HGET', key(batch, 'state'), 'queue')
      if queue then queues[queue] = true end
      if queue and created < (oldest[queue] or now) then
        local b = state(batch, {'paused', 'waiting'}, COUNTERS)
        if left_of(b) > 0 and not (b.paused or b.waiting) then
          local block = block_with(batch, redis.call('BITPOS', key(batch, 'done'), 0))
          oldest[queue] = math.min(oldest[queue] or now, block and block.at or created)
        end
      end
    end
  end
  return oldest
end

-- Messages on the streams of a queue, and when the first of them was put, ms.
local function messages_of(queue, now)
  local messages, first = 0, now
  for level = 0, LEVELS do
    local length = redis.call('XLEN', stream(queue, level))
    messages = messages + length
    if length > 0 then
      local id = redis.call('XRANGE', stream(queue, level), '-', '+', 'COUNT', 1)[1][1]
      first = math.min(first, tonumber(string.match(id, '^%d+')))
    end
  end
  return messages, first
end

local function sample_queues(queues, knows, now)
  local oldest = oldest_items(queues, knows, now)
  for queue in pairs(queues) do
    local open, paused = items_of(queue)
    local in_flight = 0
    for level = 0, LEVELS do in_flight = in_flight + flights_on(queue, level) end
    local messages, first = messages_of(queue, now)
    -- Messages of chunks are no items of their own.
    local plain = math.max(0, messages - in_flight)
    if plain > 0 then oldest[queue] = math.min(oldest[queue] or now, first) end
    sample('q', 'left', queue, math.max(0, open) + plain)
    if paused > 0 then sample('q', 'held', queue, paused) end
    sample('q', 'oldest', queue, now - (oldest[queue] or now))
  end
end

-- Add numbers to the fields of a hash: `flat` holds names and numbers by turns. One write, for the log on disk.
local function add(hash, flat)
  for from = 1, #flat, 1000 do
    local names, sums = {}, {}
    for i = from, math.min(from + 998, #flat - 1), 2 do names[#names + 1] = flat[i] end
    for i, old in ipairs(redis.call('HMGET', hash, unpack(names))) do
      sums[2 * i - 1], sums[2 * i] = names[i], string.format('%d', (old or 0) + flat[from + 2 * i - 1])
    end
    redis.call('HSET', hash, unpack(sums))
  end
end

-- Begin a second; false if somebody has in this second.
local function begin_second(now)
  local second = math.floor(now / 1000)
  if redis.call('HSETNX', GM .. 'meters:1:' .. second, 'n', 1) == 0 then return false end
  redis.call('SADD', GM .. 'meters:open', second)
  return true
end

-- Sample what has no event, in a second that was begun.
local function sample_second(now)
  local second = math.floor(now / 1000)
  local queues = sample_workers(now)
  sample_queues(queues, add_last_queues(queues, second), now)
  local sampled = {}
  for field, amount in pairs(samples) do
    sampled[#sampled + 1], sampled[#sampled + 2] = field, amount
  end
  add(GM .. 'meters:1:' .. second, sampled)

  -- A second that is over is added once to the buckets that it lies in.
  for _, over in ipairs(redis.call('SMEMBERS', GM .. 'meters:open')) do
    local t = tonumber(over)
    if t < second then
      local fields = redis.call('HGETALL', GM .. 'meters:1:' .. over)
      for width, kept in pairs(KEPT) do
        local wide = GM .. 'meters:' .. width .. ':' .. t - t % width
        if width > 1 then add(wide, fields) end
        redis.call('EXPIRE', wide, kept)
      end
      local counted = {}
      for i = 1, #fields, 2 do
        local name = string.match(fields[i], '^t|(.*)$')
        if name then
          counted[#counted + 1] = name
          counted[#counted + 1] = fields[i + 1]
        end
      end
      add(GM .. 'meters:total', counted)
      redis.call('SREM', GM .. 'meters:open', over)
    end
  end
end
