-- Once a second: sample the queues and hosts, and add the seconds that are over to the wider buckets. Everyone who
-- beats calls it, the dashboard too; the first in each second does the work.
-- ARGV: prefix, worker (may be empty), then of the plain Celery tasks that it ran: queue, task, what, number.
-- Touches: active, beats, workers, meters:1:{t}, meters:open, the state, window, done and in of active batches, and
--   meters:10:{t}, meters:60:{t}, meters:300:{t}  hash  what the 10, 60 or 300 seconds from t on saw
--   meters:total  hash  {queue}|{what}|{task} -> the same since ever
-- Fields beside those of count.lua, each a sum over samples (n says how many):
--   q|{what}|{queue}  items left, in paused batches (held), age of the oldest in ms (oldest), slots, busy slots
--   h|{what}|{host}   cores, percent of them busy (cpu), memory in use and in total, MiB (used, memory)
local KEPT = {[1] = 330, [10] = 3960, [60] = 22320, [300] = 87600}
local LIVE = 3000
local now = milliseconds()
local second = math.floor(now / 1000)

for i = 3, #ARGV, 4 do
  count_task(now, ARGV[i], ARGV[i + 1], {ARGV[i + 2], tonumber(ARGV[i + 3])})
  if ARGV[i + 2] == 's' or ARGV[i + 2] == 'f' then
    redis.call('HINCRBY', GM .. 'meters:of:' .. ARGV[2],
      ARGV[i] .. '|' .. ARGV[i + 2] .. '|' .. ARGV[i + 1], ARGV[i + 3])
  end
end
if ARGV[2] ~= '' then redis.call('EXPIRE', GM .. 'meters:of:' .. ARGV[2], WORKER_KEPT) end

local samples = {}
local function sample(kind, what, name, amount)
  local field = kind .. '|' .. what .. '|' .. name
  samples[field] = (samples[field] or 0) + math.floor((amount or 0) + 0.5)
end

-- The live workers: slots of queues, load of hosts.
local function sample_workers()
  local hosts, queues = {}, {cpu = 0, io = 0}
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', GM .. 'workers', now - LIVE, '+inf')) do
    local beat = redis.call('HGET', GM .. 'beats', name)
    if beat then
      local worker = cjson.decode(beat)
      queues[worker.queue] = queues[worker.queue] or 0
      sample('q', 'slots', worker.queue, worker.slots)
      sample('q', 'busy', worker.queue, worker.busy)
      if worker.cores and not hosts[worker.host] then
        hosts[worker.host] = true
        for _, what in ipairs({'cores', 'cpu', 'used', 'memory'}) do sample('h', what, worker.host, worker[what]) end
      end
    end
  end
  return queues
end

-- When the oldest item without an outcome was stored, ms.
local function oldest_item(batch, created)
  local index = redis.call('BITPOS', key(batch, 'done'), 0)
  local block = redis.call('XRANGE', key(batch, 'in'), index + 1, '+', 'COUNT', 1)[1]
  return block and tonumber(block[2][8]) or created
end

local function sample_queues(queues)
  local oldest = {}
  for _, batch in ipairs(redis.call('SMEMBERS', GM .. 'active')) do
    local b = state(batch, {'queue', 'paused'}, {'created', 'stored', 'succeeded', 'failed', 'cancelled', 'dead'})
    if b.queue then
      local open = b.stored - b.succeeded - b.failed - b.cancelled - b.dead
      -- Messages of chunks are no items of their own.
      queues[b.queue] = (queues[b.queue] or 0) - redis.call('ZCARD', key(batch, 'window'))
      sample('q', b.paused and 'held' or 'left', b.queue, open)
      if open > 0 and not b.paused then
        oldest[b.queue] = math.min(oldest[b.queue] or now, oldest_item(batch, b.created))
      end
    end
  end
  for queue, messages in pairs(queues) do
    local first = now
    for level = 0, LEVELS do
      local length = redis.call('XLEN', stream(queue, level))
      messages = messages + length
      if length > 0 then
        local id = redis.call('XRANGE', stream(queue, level), '-', '+', 'COUNT', 1)[1][1]
        first = math.min(first, tonumber(string.match(id, '^%d+')))
      end
    end
    sample('q', 'left', queue, math.max(0, messages))
    if messages > 0 then oldest[queue] = math.min(oldest[queue] or now, first) end
    sample('q', 'oldest', queue, now - (oldest[queue] or now))
  end
end

if redis.call('HSETNX', GM .. 'meters:1:' .. second, 'n', 1) == 0 then return 0 end
redis.call('SADD', GM .. 'meters:open', second)
sample_queues(sample_workers())

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

local sampled = {}
for field, amount in pairs(samples) do
  sampled[#sampled + 1] = field
  sampled[#sampled + 1] = amount
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
return 1
