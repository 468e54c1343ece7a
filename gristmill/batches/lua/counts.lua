--@ uses batches/ledger
-- The meters: counts of what each second saw, and of how each batch went. Keys, all below {prefix}gm1: :
--   meters:1:{t}        hash  what second t (Unix time) saw: counts and samples, see meters.lua
--   meters:open         set   seconds that are not yet added to the wider buckets
--   meters:of:{worker}  hash  {queue}|{what}|{task} -> what the worker recorded since it came
--   batch:{b}:meter     hash  width (seconds of a slice); {i}s, {i}f -> items of slice i that succeeded, that
--                             failed; r{n} -> items whose run time falls in bucket n of five to a decade
-- Fields of a second: t|{queue}|{what}|{task} with `what` being s (succeeded), f (failed), b (milliseconds of work),
-- a (attempts that failed and are followed by another), d (duplicates), R{n} and W{n} (items whose run time, whose wait in
-- the queue falls in bucket n of histogram.py, ten to a decade).
local SLICES, WORKER_KEPT = 400, 120

-- The bucket of a duration in ms; as `bucket` in histogram.py.
local function bucket(ms)
  if ms <= 0 then return -50 end
  -- Lua writes the -0 of `ceil` as such: with 0 added it is 0.
  return math.max(-50, math.min(60, math.ceil(10 * math.log10(ms / 1000)))) + 0
end

-- Add to what the second `now` (ms) saw of a task; `amounts` are `what` and number, by turns.
local function count_task(now, queue, task, amounts)
  local second = math.floor(now / 1000)
  local fields = GM .. 'meters:1:' .. second
  redis.call('SADD', GM .. 'meters:open', second)
  for i = 1, #amounts, 2 do
    if amounts[i + 1] > 0 then
      redis.call('HINCRBY', fields, 't|' .. queue .. '|' .. amounts[i] .. '|' .. task, amounts[i + 1])
    end
  end
end

-- Twice as wide slices, when there are too many of them.
local function widen(batch, width)
  local old = redis.call('HGETALL', key(batch, 'meter'))
  local new = {width = 2 * width}
  for i = 1, #old, 2 do
    local slice, what = string.match(old[i], '^(%d+)([sf])$')
    if slice then
      local field = math.floor(slice / 2) .. what
      new[field] = (new[field] or 0) + old[i + 1]
    elseif old[i] ~= 'width' then new[old[i]] = old[i + 1] end
  end
  redis.call('DEL', key(batch, 'meter'))
  for field, value in pairs(new) do redis.call('HSET', key(batch, 'meter'), field, value) end
  return 2 * width
end

-- Count what a record of batch `b` brought: `runs` is bucket:items,… of the run times, `retries` are attempts that are
-- followed by another.
local function count_record(now, batch, b, worker, tally, retries, seconds, runs)
  local succeeded, failed = tally.succeeded, tally.failed + tally.dead
  local amounts = {'s', succeeded, 'f', failed, 'b', math.floor(seconds * 1000 + 0.5), 'a', retries, 'd', tally.duplicates}
  local meter = key(batch, 'meter')
  for n, items in string.gmatch(runs, '(-?%d+):(%d+)') do
    amounts[#amounts + 1] = 'R' .. n
    amounts[#amounts + 1] = tonumber(items)
    redis.call('HINCRBY', meter, 'r' .. math.ceil(n / 2) + 0, items)
  end
  count_task(now, b.queue, b.task, amounts)
  local width = tonumber(redis.call('HGET', meter, 'width') or 1)
  while (now - b.created) / 1000 / width >= SLICES do width = widen(batch, width) end
  local slice = math.floor((now - b.created) / 1000 / width)
  for what, items in pairs({s = succeeded, f = failed}) do
    if items > 0 then
      redis.call('HINCRBY', meter, slice .. what, items)
      redis.call('HINCRBY', GM .. 'meters:of:' .. worker, b.queue .. '|' .. what .. '|' .. b.task, items)
    end
  end
  redis.call('EXPIRE', GM .. 'meters:of:' .. worker, WORKER_KEPT)
end
