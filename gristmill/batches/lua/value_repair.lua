--@ uses batches/ending
-- Of a batch with limits by value: what waits for its value, and what runs of it, compared with its items and chunks.
local value_repair = {}
do
  -- What waits for room of its value has no outcome; and its value is ready, or something will make it so.
  function value_repair.place(batch, b, now, mend, note)
    if not (b.limit_by or b.task_limit_by) then return end
    local parked, values = redis.call('ZRANGE', key(batch, 'parked'), 0, -1, 'WITHSCORES'), {}
    for i = 1, #parked, 2 do
      if redis.call('GETBIT', key(batch, 'done'), tonumber(parked[i])) == 1 then
        note('waiting_with_outcome', 1)
        if mend then redis.call('ZREM', key(batch, 'parked'), parked[i]) end
      else
        values[value_text(tonumber(parked[i + 1]))] = true
      end
    end
    for value in pairs(values) do
      local is_awaited = redis.call('ZSCORE', key(batch, 'running'), value) or redis.call('ZSCORE', waiters_of(b.task, value), batch)
      if not is_awaited and not redis.call('ZSCORE', key(batch, 'ready'), value) then
        note('wrong_sets', 1)
        if mend then redis.call('ZADD', key(batch, 'ready'), now, value) end
      end
    end
  end

  -- What runs of each value counts against its limit.
  function value_repair.count(batch, b, mend, note)
    if not (b.limit_by and b.max_running) then return end
    local right = {}
    for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)) do
      local value = values_of(batch, range_of(chunk), 1)[1]
      right[value] = (right[value] or 0) + 1
    end
    local function correct(value, number)
      if number == tonumber(redis.call('ZSCORE', key(batch, 'running'), value) or -1) then return end
      note('wrong_counts', 1)
      if not mend then return end
      if number then redis.call('ZADD', key(batch, 'running'), number, value) else redis.call('ZREM', key(batch, 'running'), value) end
    end
    for _, value in ipairs(redis.call('ZRANGE', key(batch, 'running'), 0, -1)) do
      if not right[value] then correct(value, nil) end
    end
    for value, number in pairs(right) do correct(value, number) end
  end
end
