-- The ledger of batches: what every script shares. ARGV[1] is the key prefix. Keys, all below {prefix}gm1: :
--   schema              string  version of this layout
--   batches             zset    batch -> created, ms
--   active              set     batches with open items or an input that has not ended
--   slots               hash    queue -> live slots of the fleet
--   learnt              hash    task, a space, fingerprint of its source -> seconds that an item took in its last batch
--   batch:{b}:state     hash    see create.lua; counters and everything about the batch that is not per item
--   batch:{b}:in        stream  blocks: id {end}-0; fields first, sha, items (JSON values, a line each), at (ms)
--   batch:{b}:done      bitmap  items with an outcome: the guard that records each once
--   batch:{b}:failed    bitmap  items that failed or are dead
--   batch:{b}:cancelled  bitmap  items that were cancelled
--   batch:{b}:again     bitmap  items that `retry` gave back and nobody has been handed yet
--   batch:{b}:out:{k}   hash    index -> outcome, or first:count -> outcomes, a line each: of the items 500k to 500k+499
--   batch:{b}:events    stream  ranges of indexes, in the order of their outcomes; @n behind one: of attempt n
--   batch:{b}:attempts  hash    index -> attempts that failed so far, and /n behind: n of them before its last retry
--   batch:{b}:retry     zset    index -> when its next attempt is due, ms
--   batch:{b}:left      zset    first:count of what chunks that ran over did not get to -> first
--   batch:{b}:window    zset    first:count of each chunk handed out -> when it was last put or seen, ms
--   batch:{b}:sent      hash    first:count of each chunk handed out -> where its message is on the queue
--   batch:{b}:begun     hash    first:count of each chunk that runs -> the worker that took it, a space, that of its message
local GM = ARGV[1] .. 'gm1:'
local MESSAGE_VERSION, BUCKET = 1, 500

local function key(batch, part) return GM .. 'batch:' .. batch .. ':' .. part end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How often an item has failed so far, and how many of those were before it was last given back by `retry`.
local function tries(attempts)
  if not attempts then return 0, 0 end
  local all, before = string.match(attempts, '^(%d+)/?(%d*)$')
  return tonumber(all), tonumber(before) or 0
end

-- Some fields of a batch's state; those named in `numbers` as numbers, 0 when missing.
local function state(batch, texts, numbers)
  local names = {}
  for _, name in ipairs(texts) do names[#names + 1] = name end
  for _, name in ipairs(numbers) do names[#names + 1] = name end
  local values, found = redis.call('HMGET', key(batch, 'state'), unpack(names)), {}
  for i, name in ipairs(names) do
    if i > #texts then found[name] = tonumber(values[i] or 0) else found[name] = values[i] or nil end
  end
  return found
end

-- Set the bits first to first+count-1 of a bitmap.
local function fill(bitmap, first, count, bit)
  local arguments = {}
  for at = first, first + count - 1, 32 do
    local width = math.min(32, first + count - at)
    for _, part in ipairs({'SET', 'u' .. width, at, bit * (2 ^ width - 1)}) do arguments[#arguments + 1] = part end
  end
  redis.call('BITFIELD', bitmap, unpack(arguments))
end

-- The number `word` of `width` bits as a text of 0 and 1.
local function binary(word, width)
  if word == 0 then return string.rep('0', width) end
  local bits = {}
  for bit = width - 1, 0, -1 do bits[#bits + 1] = math.floor(word / 2 ^ bit) % 2 end
  return table.concat(bits)
end

-- The bits first to first+count-1 of a bitmap, as a text of 0 and 1.
local function bits_of(bitmap, first, count)
  local arguments = {}
  for at = first, first + count - 1, 32 do
    for _, part in ipairs({'GET', 'u' .. math.min(32, first + count - at), at}) do arguments[#arguments + 1] = part end
  end
  local texts = redis.call('BITFIELD', bitmap, unpack(arguments))
  for n, word in ipairs(texts) do texts[n] = binary(word, math.min(32, count - 32 * (n - 1))) end
  return table.concat(texts)
end

-- Set the bits of `indexes`, neighbours together; returns what they were, as a text of 0 and 1.
local function set_bits(bitmap, indexes)
  local arguments, widths, at = {}, {}, 1
  while at <= #indexes do
    local width = 1
    while width < 32 and indexes[at + width] == indexes[at] + width do width = width + 1 end
    for _, part in ipairs({'SET', 'u' .. width, indexes[at], 2 ^ width - 1}) do arguments[#arguments + 1] = part end
    widths[#widths + 1], at = width, at + width
  end
  if #widths == 0 then return '' end
  local texts = redis.call('BITFIELD', bitmap, unpack(arguments))
  for n, word in ipairs(texts) do texts[n] = binary(word, widths[n]) end
  return table.concat(texts)
end

-- Take a chunk out of the window; returns whether it was there.
local function leave_window(batch, chunk)
  redis.call('HDEL', key(batch, 'sent'), chunk)
  redis.call('HDEL', key(batch, 'begun'), chunk)
  return redis.call('ZREM', key(batch, 'window'), chunk) == 1
end
