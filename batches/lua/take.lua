-- Begin a chunk: its items, and which of them have an outcome already.
-- ARGV: prefix, batch, epoch, first, count.
-- Touches: batch:{b}:state, :window, :in, :done, :attempts, :kept.
-- Returns false when there is nothing to run: the batch is gone, the epoch is over or the chunk is recorded.
-- Else {task, fixed, parameter, retries, retry_seconds, done, attempts, blocks, kept}: done and attempts have one entry
-- an item, kept too where blocks were removed; each block is {first, items}.
local batch, first, count = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local now = milliseconds()
local b = state(batch, {'epoch', 'queue', 'task', 'fixed', 'parameter', 'retries', 'retry_seconds'}, {})
local chunk = first .. ':' .. count
local seen = redis.call('ZSCORE', key(batch, 'window'), chunk)
if b.epoch ~= ARGV[3] or not seen then return false end
-- A write waits for the disk: not for what was put a moment ago.
if now - seen > 1000 then redis.call('ZADD', key(batch, 'window'), 'XX', now, chunk) end

local blocks, reached = {}, first
local function add(entries)
  for _, entry in ipairs(entries) do
    blocks[#blocks + 1] = {entry[2][2], entry[2][6]}
    reached = tonumber(string.match(entry[1], '^%d+'))
  end
end
add(redis.call('XRANGE', key(batch, 'in'), first + 1, first + count))
if reached < first + count then
  add(redis.call('XRANGE', key(batch, 'in'), first + count + 1, '+', 'COUNT', 1))
end

local bits, indexes = {}, {}
for index = first, first + count - 1 do
  indexes[#indexes + 1] = index
  bits[#bits + 1] = 'GET'
  bits[#bits + 1] = 'u1'
  bits[#bits + 1] = index
end
local attempts, kept = {}, {}
if redis.call('EXISTS', key(batch, 'attempts')) == 1 then
  attempts = redis.call('HMGET', key(batch, 'attempts'), unpack(indexes))
end
if redis.call('EXISTS', key(batch, 'kept')) == 1 then kept = redis.call('HMGET', key(batch, 'kept'), unpack(indexes)) end
return {b.task, b.fixed, b.parameter, b.retries, b.retry_seconds,
  redis.call('BITFIELD', key(batch, 'done'), unpack(bits)), attempts, blocks, kept}
