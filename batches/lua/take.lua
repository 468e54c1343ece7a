-- Begin a chunk: its items, and which of them have an outcome already.
-- ARGV: prefix, batch, epoch, first, count, whether to count how long they waited (1 or 0).
-- Touches: batch:{b}:state, :window, :in, :done, :attempts, meters:1:{t}, meters:open.
-- Returns false when there is nothing to run: the batch is gone, the epoch is over or the chunk is recorded.
-- Else {task, fixed, parameter, retries, retry_seconds, done, attempts, blocks}: done and attempts have one entry
-- an item; each block is {first, items}.
local batch, first, count = ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local now = milliseconds()
local b = state(batch, {'epoch', 'queue', 'task', 'fixed', 'parameter', 'retries', 'retry_seconds'}, {})
local chunk = first .. ':' .. count
local seen = redis.call('ZSCORE', key(batch, 'window'), chunk)
if b.epoch ~= ARGV[3] or not seen then return false end
-- A write waits for the disk: not for what was put a moment ago.
if now - seen > 1000 then redis.call('ZADD', key(batch, 'window'), 'XX', now, chunk) end

local blocks, reached, stored_at = {}, first, now
local function add(entries)
  for _, entry in ipairs(entries) do
    if #blocks == 0 then stored_at = tonumber(entry[2][8] or now) end
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
local attempts = {}
if redis.call('EXISTS', key(batch, 'attempts')) == 1 then
  attempts = redis.call('HMGET', key(batch, 'attempts'), unpack(indexes))
end
local done, first_time = redis.call('BITFIELD', key(batch, 'done'), unpack(bits)), 0
for i = 1, count do
  if done[i] == 0 and not attempts[i] then first_time = first_time + 1 end
end
if ARGV[6] == '1' then count_task(now, b.queue, b.task, {'w' .. bucket(now - stored_at), first_time}) end
return {b.task, b.fixed, b.parameter, b.retries, b.retry_seconds, done, attempts, blocks}
