--@ uses batches/release
-- Links: a batch that waits for the end of others. A batch costs what hangs on it, however many others there are.
--   batch:{b}:dependents  hash  batch that was submitted after {b} -> when that was created (ms), its condition, and how it
--                               took the end of {b}: `open` (not yet), `met` or `unmet`; with colons between
--   state fields  after       the conditions, with blanks between: {a} (all its items succeed) or {a}:ended
--                 waiting     how many conditions are not met; the batch hands out nothing meanwhile
--                 unmet       why one of them cannot come true: the batch is cancelled once its input has ended; empty where
--                             somebody cancelled it before it began
--                 superseded  batches that were retried after this one had taken their end and begun, with blanks between
--                 has_dependents  whether the hash is there
-- A batch waits for older ones only, so no two wait for each other.
-- A table, because a script has 200 local names at most. `cancel`, `finish`, `heed_halt` and `keys_of` are those of
-- ending.lua.
local links = {}
do
  -- Dependents that one call looks at, at most: no script may occupy the server for long.
  local LINKS_MOST = 100
  local links_left = LINKS_MOST

  local function conditions_of(after)
    local conditions = {}
    for name, ended in string.gmatch(after or '', '([^ :]+)(:?%a*)') do
      conditions[#conditions + 1] = {name, ended == ':ended' and 'ended' or 'succeeded'}
    end
    return conditions
  end

  -- Why the end of a batch does not meet a condition; nil where it does. `a` has fields of its state.
  local ENDS = {'finished', 'created', 'input_cut', 'success_halt'}
  local function ends_of(batch) return state(batch, ENDS, {'failed', 'dead', 'cancelled'}) end
  local function failure_of(name, a, condition)
    if condition == 'ended' or a.success_halt then return nil end
    if a.failed + a.dead > 0 then return name .. ' failed' end
    if a.cancelled > 0 or a.input_cut then return name .. ' was cancelled' end
  end

  local function link_of(batch, dependent)
    local entry = redis.call('HGET', key(batch, 'dependents'), dependent)
    return string.match(entry or '', '^(%d+):(%a+):(%a+)$')
  end

  local function set_link(batch, dependent, created, condition, how)
    redis.call('HSET', key(batch, 'state'), 'has_dependents', 1)
    redis.call('HSET', key(batch, 'dependents'), dependent, created .. ':' .. condition .. ':' .. how)
    -- What is written after a batch has ended lives no longer than the rest of it.
    local kept = redis.call('PTTL', key(batch, 'state'))
    if kept > 0 then redis.call('PEXPIRE', key(batch, 'dependents'), kept) end
  end

  -- Link a batch to those that it waits for; of what has ended, its end counts.
  function links.add(batch, created, after)
    local waiting, unmet = 0, nil
    for _, condition in ipairs(conditions_of(after)) do
      local a = ends_of(condition[1])
      local failure = a.finished and failure_of(condition[1], a, condition[2])
      if a.created then
        set_link(condition[1], batch, created, condition[2], failure and 'unmet' or a.finished and 'met' or 'open')
        if failure or not a.finished then waiting = waiting + 1 end
      end
      unmet = unmet or failure
    end
    if waiting > 0 then redis.call('HSET', key(batch, 'state'), 'waiting', waiting) end
    if unmet then redis.call('HSET', key(batch, 'state'), 'unmet', unmet) end
  end

  -- The first batch in `after` that is not on the server.
  function links.missing(after)
    for _, condition in ipairs(conditions_of(after)) do
      if redis.call('EXISTS', key(condition[1], 'state')) == 0 then return condition[1] end
    end
  end

  -- A batch waits no more; returns whether it did. Its open items counted as those of a paused batch.
  function links.end_waiting(batch)
    local b = state(batch, {'queue', 'paused', 'waiting'}, COUNTERS)
    if not b.waiting then return false end
    redis.call('HDEL', key(batch, 'state'), 'waiting')
    if b.paused then return true end
    local left = left_of(b)
    count_open(b.queue, true, -left)
    count_open(b.queue, false, left)
    return true
  end

  -- Cancel a batch whose condition cannot come true, once all its items are stored: so `retry` can run them.
  function links.heed_unmet(batch, now)
    local b = state(batch, {'waiting', 'unmet', 'input_ended', 'cancelling', 'finished'}, {'stored'})
    if b.waiting and b.unmet and b.input_ended and not b.cancelling and not b.finished then
      -- No item says that it was cancelled.
      if b.stored == 0 then redis.call('HSET', key(batch, 'state'), 'input_cut', 1) end
      links.cancel(batch, now, b.unmet, {})
    end
  end

  -- Tell a dependent how a batch has ended.
  local function tell(dependent, failure, now)
    if failure then
      redis.call('HSETNX', key(dependent, 'state'), 'unmet', failure)
      links.heed_unmet(dependent, now)
    elseif redis.call('HINCRBY', key(dependent, 'state'), 'waiting', -1) == 0 then
      links.end_waiting(dependent)
      if work_left > 0 then release(dependent, now) else look_by(dependent, now) end
      links.finish(dependent, now)
    end
  end

  -- Tell the dependents of a batch that has ended. Returns whether that was all of them; the others are told soon.
  function links.resolve(batch, now)
    local a = state(batch, {'has_dependents', 'input_cut', 'success_halt'}, {'failed', 'dead', 'cancelled'})
    local entries = a.has_dependents and redis.call('HGETALL', key(batch, 'dependents')) or {}
    for i = 1, #entries, 2 do
      local dependent = entries[i]
      local created, condition, how = string.match(entries[i + 1], '^(%d+):(%a+):(%a+)$')
      if how == 'open' then
        if links_left == 0 then look_by(batch, now) return false end
        links_left = links_left - 1
        local b = state(dependent, {'created', 'waiting'}, {})
        local failure = failure_of(batch, a, condition)
        set_link(batch, dependent, created, condition, failure and 'unmet' or 'met')
        if b.created == created and b.waiting then tell(dependent, failure, now) end
      end
    end
    return true
  end

  -- The reason for which a condition of a batch cannot come true, if there is one.
  local function unmet_of(batch, after)
    for _, condition in ipairs(conditions_of(after)) do
      local _, _, how = link_of(condition[1], batch)
      if how == 'unmet' then return failure_of(condition[1], ends_of(condition[1]), condition[2]) end
    end
  end

  -- Note that a batch has taken an end of another one that was not the last.
  local function supersede(batch, b, other)
    if string.find(' ' .. (b.superseded or '') .. ' ', ' ' .. other .. ' ', 1, true) then return end
    redis.call('HSET', key(batch, 'state'), 'superseded', b.superseded and b.superseded .. ' ' .. other or other)
  end

  -- A batch takes what another one has recorded since, too.
  function links.catch_up(batch, superseded, other)
    local others = {}
    for name in string.gmatch(superseded or '', '%S+') do
      if name ~= other then others[#others + 1] = name end
    end
    if #others > 0 then redis.call('HSET', key(batch, 'state'), 'superseded', table.concat(others, ' '))
    else redis.call('HDEL', key(batch, 'state'), 'superseded') end
  end

  -- A batch that had ended goes on: who still waits for others waits for it again, and who has begun is told.
  function links.reopen(batch)
    local entries = redis.call('HGETALL', key(batch, 'dependents'))
    for i = 1, #entries, 2 do
      local dependent = entries[i]
      local created, condition, how = string.match(entries[i + 1], '^(%d+):(%a+):(%a+)$')
      local b = state(dependent, {'created', 'waiting', 'unmet', 'after', 'superseded'}, {})
      if b.created == created and b.waiting and how ~= 'open' then
        set_link(batch, dependent, created, condition, 'open')
        if how == 'met' then redis.call('HINCRBY', key(dependent, 'state'), 'waiting', 1) end
        local unmet = unmet_of(dependent, b.after)
        redis.call('HDEL', key(dependent, 'state'), 'unmet')
        if unmet then redis.call('HSET', key(dependent, 'state'), 'unmet', unmet) end
      elseif b.created == created and how == 'met' and not b.unmet then
        supersede(dependent, b, batch)
      end
    end
  end

  -- Batches that have taken all values of this one, which goes on, are told.
  function links.reopen_takers(batch)
    local entries = redis.call('HGETALL', key(batch, 'takers'))
    for i = 1, #entries, 2 do
      local b = state(entries[i], {'created', 'superseded', 'input_ended', 'input_cut'}, {})
      if b.created == entries[i + 1] and b.input_ended and not b.input_cut then supersede(entries[i], b, batch) end
    end
  end

  -- Whether each condition of a batch is met, or its batch goes on; of one that is gone, none is.
  function links.may_come_true(created, after)
    for _, condition in ipairs(conditions_of(after)) do
      local a = ends_of(condition[1])
      if not a.created or tonumber(a.created) > created then return false end
      if a.finished and failure_of(condition[1], a, condition[2]) then return false end
    end
    return true
  end

  -- A batch that was cancelled before it began is to run: it waits for those that go on now. Of one that has ended for good,
  -- or is gone, the end counts, whatever it was: somebody wants the items all the same.
  function links.renew(batch)
    local b = state(batch, {'created', 'after', 'unmet'}, {})
    if not b.unmet then return end
    redis.call('HDEL', key(batch, 'state'), 'unmet', 'reason')
    local waiting = 0
    for _, condition in ipairs(conditions_of(b.after)) do
      local a = ends_of(condition[1])
      if a.created and tonumber(a.created) <= tonumber(b.created) then
        set_link(condition[1], batch, b.created, condition[2], a.finished and 'met' or 'open')
        if not a.finished then waiting = waiting + 1 end
      end
    end
    if waiting > 0 then redis.call('HSET', key(batch, 'state'), 'waiting', waiting) end
  end

  -- The first batch that waits for this one.
  function links.waiting_dependent(batch)
    local entries = redis.call('HGETALL', key(batch, 'dependents'))
    for i = 1, #entries, 2 do
      local created, _, how = string.match(entries[i + 1], '^(%d+):(%a+):(%a+)$')
      local b = state(entries[i], {'created', 'waiting', 'cancelling'}, {})
      if how ~= 'met' and b.created == created and b.waiting and not b.cancelling then return entries[i] end
    end
  end

  -- A batch is deleted: nobody tells it anything.
  function links.remove(batch, after)
    for _, condition in ipairs(conditions_of(after)) do
      redis.call('HDEL', key(condition[1], 'dependents'), batch)
    end
  end

  -- How many links of a batch disagree with how those that it follows stand; with `mend`, they agree after that.
  function links.examine(batch, now, mend)
    local b = state(batch, {'created', 'after', 'from_batch', 'waiting', 'input_ended', 'finished', 'cancelling'}, {})
    local wrong, waiting, unmet = 0, 0, nil
    if b.finished or b.cancelling then return 0 end
    if b.from_batch and not b.input_ended and redis.call('HGET', key(b.from_batch, 'takers'), batch) ~= b.created then
      wrong = 1
      if mend and redis.call('EXISTS', key(b.from_batch, 'state')) == 1 then
        redis.call('HSET', key(b.from_batch, 'state'), 'has_takers', 1)
        redis.call('HSET', key(b.from_batch, 'takers'), batch, b.created)
      end
    end
    if not b.waiting then return wrong end
    for _, condition in ipairs(conditions_of(b.after)) do
      local name = condition[1]
      local a, _, _, noted = ends_of(name), link_of(name, batch)
      local failure = not a.created and name .. ' is gone' or a.finished and failure_of(name, a, condition[2])
      local how = failure and 'unmet' or a.finished and 'met' or 'open'
      -- One of many dependents is told soon.
      if noted == 'open' and a.finished and redis.call('ZSCORE', GM .. 'due', name) then return wrong end
      if how ~= 'met' then waiting = waiting + 1 end
      unmet = unmet or failure
      if noted ~= how then
        wrong = wrong + 1
        if mend and a.created then set_link(name, batch, b.created, condition[2], how) end
      end
    end
    -- Half of a script may have left a batch that waits for nothing.
    if waiting == 0 or waiting ~= tonumber(b.waiting) then wrong = wrong + 1 end
    if mend and wrong > 0 then
      redis.call('HSET', key(batch, 'state'), 'waiting', waiting)
      if unmet then redis.call('HSETNX', key(batch, 'state'), 'unmet', unmet) end
      if waiting == 0 then links.end_waiting(batch) end
      links.heed_unmet(batch, now)
    end
    return wrong
  end
end
