--@ uses batches/in_flight broker/queue
-- Batches of one priority share a queue by who submitted them. A batch puts messages as it likes while few are in flight;
-- beyond that it waits in a line, and each chunk that leaves flight lets one submitter put one message, in turns:
--   turns:{q}            zset  level, a colon, submitter -> its next turn, behind those of the levels before
--   line:{q}:{level}:{submitter}  zset  batches with items that are not handed out -> when they came, µs
-- A lone submitter's batches take turns too. None of that costs more where more batches wait.
local sharing = {}
do
  -- The first turn of a level, in those of all levels; batches that one turn looks at, at most, for one that can hand out.
  local LEVEL_TURNS, LOOKS_MOST = 2 ^ 40, 20

  local function turns_of(queue) return GM .. 'turns:' .. queue end
  local function line_of(queue, level, submitter) return GM .. 'line:' .. queue .. ':' .. level .. ':' .. submitter end

  -- The first submitter in line of a level, or of those behind it: the level, the submitter and its turn.
  local function first_in_line(queue, level)
    local first = redis.call('ZRANGE', turns_of(queue), level * LEVEL_TURNS, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
    if not first[1] then return nil end
    local of, submitter = string.match(first[1], '^(%d):(.*)$')
    return tonumber(of), submitter, tonumber(first[2]) - of * LEVEL_TURNS
  end

  -- How many messages may be put beside those in flight: two for each slot may be there, the one that runs and the one behind
  -- it. What workers have put off, because they lack a task or memory, is in nobody's way.
  local function places_left(queue, level, slots)
    local free = 2 * slots - flights_on(queue, level)
    return free > 0 and free or free + redis.call('ZCOUNT', back(queue), '(' .. LEVELS, '+inf')
  end

  -- How many messages a batch may put out of turn.
  function sharing.places(b)
    local free = 2 * b.live_slots - flights_on(b.queue, b.priority)
    -- So few are in flight that nobody is in line: each chunk that left flight has let the line go on.
    if free > b.live_slots then return free end
    return first_in_line(b.queue, b.priority) == b.priority and 0 or places_left(b.queue, b.priority, b.live_slots)
  end

  -- Have a batch wait in line. A submitter who comes anew is behind the first one's next turn, so nobody gains by coming often.
  function sharing.join(batch, b)
    local submitter = b.submitted_by or ''
    redis.call('ZADD', line_of(b.queue, b.priority, submitter), 'NX', string.format('%.0f', microseconds()), batch)
    local level, _, turn = first_in_line(b.queue, b.priority)
    local next_turn = level == b.priority and turn + 1 or 0
    redis.call('ZADD', turns_of(b.queue), 'NX', b.priority * LEVEL_TURNS + next_turn, b.priority .. ':' .. submitter)
  end

  function sharing.has(batch, b)
    return redis.call('ZSCORE', line_of(b.queue, b.priority, b.submitted_by or ''), batch)
  end

  -- One turn of a submitter: `put_one` puts a message of a batch, and returns how many it put. Returns at how many it looked.
  local function take_turn(queue, level, submitter, turn, put_one)
    local line, looks = line_of(queue, level, submitter), 0
    repeat
      local batch = redis.call('ZPOPMIN', line)[1]
      looks = looks + 1
    until not batch or put_one(batch) > 0 or looks == LOOKS_MOST
    local member = level .. ':' .. submitter
    if redis.call('EXISTS', line) == 1 then
      redis.call('ZADD', turns_of(queue), level * LEVEL_TURNS + turn + 1, member)
    else
      redis.call('ZREM', turns_of(queue), member)
    end
    return looks
  end

  -- Let those in line of a queue take their turns, while there are places; looks at `most` batches, about.
  function sharing.give_turns(queue, most, put_one)
    local level, submitter, turn = first_in_line(queue, 0)
    local slots = level and tonumber(redis.call('HGET', GM .. 'slots', queue) or 0)
    while level and most > 0 do
      local from = level + 1
      if places_left(queue, level, slots) > 0 then
        from, most = level, most - take_turn(queue, level, submitter, turn, put_one)
      end
      level, submitter, turn = first_in_line(queue, from)
    end
  end
end
