--@ uses server/keys server/clock batches/schema
-- The ledger of batches: its keys, and the state of a batch. Keys, all below {prefix}gm1: :
--   schema              string  version of the names and forms of these keys
--   batches             zset    batch -> created, ms
--   expiring            zset    batch that has ended -> when its keys expire, ms of the server's clock
--   active              zset    batch with open items, or with input that has not ended -> created, ms
--   slots               hash    queue -> live slots of the fleet
--   learnt              hash    task, a space, fingerprint of its source -> seconds that an item took in its last batch
--   queue:{q}           hash    open: items without an outcome; paused: those in paused batches; in_flight:{level}: chunks of a priority
--   batch:{b}:state     hash    see create.lua; counters and everything about the batch that is not per item
--   batch:{b}:in        stream  blocks: id {end}-0; fields first, sha, items (JSON values, a line each), at (ms)
--   batch:{b}:done      bitmap  items with an outcome: the guard that records each once
--   batch:{b}:failed    bitmap  items that failed or are dead
--   batch:{b}:cancelled bitmap  items that were cancelled
--   batch:{b}:events    stream  ranges of indexes, in the order of their outcomes; @n behind one: of attempt n
local BUCKET, CHUNK_BYTES = 500, 4194304

if schema ~= SCHEMA then
  redis.call('DEL', GM .. 'active', GM .. 'slots')
  redis.call('SET', GM .. 'schema', SCHEMA)
end

local function key(batch, part) return GM .. 'batch:' .. batch .. ':' .. part end

-- Some fields of a batch's state; those named in `numbers` as numbers, 0 when missing.
local function state(batch, texts, numbers)
  local names = {}
  for _, name in ipairs(texts) do names[#names + 1] = name end
  for _, name in ipairs(numbers) do names[#names + 1] = name end
  local values, fields = redis.call('HMGET', key(batch, 'state'), unpack(names)), {}
  for i, name in ipairs(names) do
    if i > #texts then fields[name] = tonumber(values[i] or 0) else fields[name] = values[i] or nil end
  end
  return fields
end

-- The counters of a batch that tell how many of its items have an outcome, and how many are left.
local COUNTERS = {'stored', 'succeeded', 'failed', 'cancelled', 'dead'}

local function done_of(b) return b.succeeded + b.failed + b.cancelled + b.dead end
local function left_of(b) return b.stored - done_of(b) end

-- Count `items` more, or fewer, open items of a queue.
local function count_open(queue, paused, items)
  if items ~= 0 then redis.call('HINCRBY', GM .. 'queue:' .. queue, paused and 'paused' or 'open', items) end
end
