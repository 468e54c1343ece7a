--@ repair_items(batch, bucket: number, mend: flag) frees
--@ uses batches/outcomes
-- Compare the bits of items with their outcomes, a hash of outcomes after another from `bucket` on; with `mend`, make them
-- agree. An outcome decides: an item that has one keeps it, and an item without one runs again. Only a part of a script's
-- writes makes them disagree: a torn AOF on a server that applies those.
-- Touches: batch:{b}:state, :out:{k}, :done, :failed, :cancelled, :consumed, :retry_pending.
-- Returns {the bucket to go on with or -1, what disagreed and number of items by turns, failed items, dead items}.
-- Buckets of one call: those whose items are compared one by one, and all.
local COMPARED, LOOKED_AT = 2, 500
local stored = state(batch, {}, {'stored'}).stored
local report, failures, deaths = {}, 0, 0

local function note(what, items) report[what] = (report[what] or 0) + items end

-- The header's fields that count; the rest of it stays as it is.
local function outcome_of(field, text)
  local header, values = string.match(text, '^([^\n]*)\n(.*)$')
  return {field = field, header = header, values = values, state = string.match(header, '"state": ?"(%a+)"'),
    attempts = tonumber(string.match(header, '"attempts": ?(%d+)'))}
end

-- Which of two outcomes of one item stands: that of the later attempt, and of one attempt the success.
local function stands_before(one, other)
  if one.attempts ~= other.attempts then return one.attempts > other.attempts end
  return one.state == 'succeeded' and other.state ~= 'succeeded'
end

-- Store the outcomes of the fields that share items with others one by one: those that stand.
local function divide(bucket, fields, standing)
  if not mend then return end
  for outcome in pairs(fields) do redis.call('HDEL', key(batch, 'out:' .. bucket), outcome.field) end
  for outcome in pairs(fields) do
    local first, count = string.match(outcome.field, '^(%d+):?(%d*)$')
    local singles, winners = {}, {}
    split_group({first = tonumber(first), count = tonumber(count) or 1, header = outcome.header,
      values = outcome.values}, singles)
    for _, single in ipairs(singles) do
      if standing[single.first] == outcome then winners[#winners + 1] = single end
    end
    store_outcomes(batch, winners)
  end
end

-- The outcome of each item of a hash, by index; where fields share items, one of them.
local function outcomes_of(bucket)
  local flat, standing, twice = redis.call('HGETALL', key(batch, 'out:' .. bucket)), {}, {}
  for i = 1, #flat, 2 do
    local outcome = outcome_of(flat[i], flat[i + 1])
    local first, count = string.match(flat[i], '^(%d+):?(%d*)$')
    for index = tonumber(first), tonumber(first) + (tonumber(count) or 1) - 1 do
      local other = standing[index]
      if other then twice[outcome], twice[other] = true, true note('two_outcomes', 1) end
      if not other or stands_before(outcome, other) then standing[index] = outcome end
    end
  end
  divide(bucket, twice, standing)
  return standing
end

-- What the bits of an item should be, by what they are and its outcome; and what is wrong with them, or nil.
local function verdict(bit, outcome)
  local right = {done = bit.done, failed = bit.failed, cancelled = bit.cancelled, consumed = bit.consumed}
  local succeeded = outcome and outcome.state == 'succeeded'
  if bit.cancelled and not succeeded and not (outcome and bit.failed) then
    right.done, right.failed, right.consumed = true, false, false
    return right, 'half_cancelled'
  end
  right.cancelled = false
  if outcome then
    right.consumed = false
    if succeeded then right.done, right.failed = true, false
    elseif bit.failed then right.done = true
    elseif bit.done and bit.pending then right.done = false
    elseif bit.done then right.failed = true end
    return right, (right.done and not bit.done) and 'outcome_without_mark' or 'wrong_mark'
  end
  right.failed, right.done = false, bit.consumed
  return right, 'mark_without_outcome'
end

local PARTS = {'done', 'failed', 'cancelled', 'consumed'}
local function compare(bucket)
  local first = bucket * BUCKET
  local count, standing, texts = math.min(BUCKET, stored - first), outcomes_of(bucket), {}
  for _, part in ipairs(PARTS) do texts[part] = bits_of(key(batch, part), first, count) end
  texts.pending = bits_of(key(batch, 'retry_pending'), first, count)
  for i = 1, count do
    local bit, index = {}, first + i - 1
    for part, text in pairs(texts) do bit[part] = string.byte(text, i) == 49 end
    local right, what = verdict(bit, standing[index])
    local wrong = false
    for _, part in ipairs(PARTS) do
      if right[part] ~= bit[part] then
        wrong = true
        if mend then redis.call('SETBIT', key(batch, part), index, right[part] and 1 or 0) end
      end
    end
    if wrong then note(what, 1) end
    if right.failed then failures = failures + 1 end
    if right.failed and standing[index] and standing[index].state == 'dead' then deaths = deaths + 1 end
  end
end

-- Whether all items of a bucket are open, or all are done and consumed: a batch that is much larger than its server has
-- few others.
local function is_uniform(bucket)
  local first = bucket * BUCKET
  local count = math.min(BUCKET, stored - first)
  local function bits(part) return redis.call('BITCOUNT', key(batch, part), first, first + count - 1, 'BIT') end
  local done = bits('done')
  return (done == 0 or done == count) and bits('consumed') == done and bits('failed') + bits('cancelled') == 0
    and redis.call('EXISTS', key(batch, 'out:' .. bucket)) == 0
end

local behind, compared, upto = math.ceil(stored / BUCKET), 0, bucket
while upto < math.min(behind, bucket + LOOKED_AT) and compared < COMPARED do
  if not is_uniform(upto) then
    compare(upto)
    compared = compared + 1
  end
  upto = upto + 1
end
local flat = {}
for what, items in pairs(report) do flat[#flat + 1], flat[#flat + 2] = what, items end
return {upto < behind and upto or -1, flat, failures, deaths}
