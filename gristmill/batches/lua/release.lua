--@ uses batches/parked batches/sharing
-- Handing out chunks: what is in flight of each batch follows the slots of the fleet. Two sets say which batches wait for
-- that, so that nobody has to walk all of them:
--   wanting:{q}  zset  batch with items that are not handed out -> slots for which it was last released
--   due          zset  batch -> when somebody has to look at it, ms: an attempt is due, a chunk's message may
--                      be gone, a chunk that ran when the batch was cancelled may have lost its worker
local MESSAGE_VERSION = 2
-- Messages that one release puts, at most, and releases and messages of one call, about: no script may occupy the server for
-- long. Where nothing is left of them, what is due waits for the next call.
local RELEASE_MOST, CALL_MOST = 100, 200
local work_left = CALL_MOST
-- Batches with a rate that one call looks at, at most; ms between two such calls of one worker, for each worker.
local PACED_MOST, PACE_MS = 100, 50
-- Batches that one call releases, at most, of those that wait for room of a task.
local WAITERS_MOST = 20
-- Turns of those in line that one call gives, at most, where chunks left flight.
local TURNS_MOST = 20
-- Milliseconds between two looks at the messages of a batch, at least, and for each batch that is active.
local LOOK_MS, LOOK_MS_EACH = 3000, 200

local function wanting(queue) return GM .. 'wanting:' .. queue end

-- Have somebody look at the batch at `when` at the latest.
local function look_by(batch, when) redis.call('ZADD', GM .. 'due', 'LT', when, batch) end

-- Batches that came together are looked at one by one. During a script, the server's time stands.
local looks = 0
local function next_look(now)
  looks = looks + 1
  local share = 1 + (server_microseconds() + 617 * looks) % 1000 / 2000
  return now + math.floor(share * math.max(LOOK_MS, LOOK_MS_EACH * redis.call('ZCARD', GM .. 'active')))
end

-- The id of a chunk's message.
local function message_id(batch, epoch, first, count) return batch .. ':' .. epoch .. ':' .. first .. '+' .. count end

-- Hand out the items first to first+count-1 as one message.
local function hand_out(batch, b, first, count, now)
  work_left = work_left - 1
  local chunk = chunk_of(first, count)
  enter_flight(batch, b, chunk, now)
  local fields = {MESSAGE_VERSION, cjson.encode(batch), b.epoch, first, count, now}
  -- A worker that starts the message has to have them.
  if b.slots then fields[7], fields[8] = b.slots, b.memory end
  local args = '[' .. table.concat(fields, ',') .. ']'
  local id = message_id(batch, b.epoch, first, count)
  redis.call('HSET', key(batch, 'message_of'), chunk, put(b.queue, b.priority, 'gristmill.chunk', id, args, now))
end

-- What handing out needs of a batch, its limits and the live slots of its queue included; nil when nothing of it is to be
-- handed out.
local function releasable(batch)
  local b = state(batch, {'queue', 'task', 'epoch', 'paused', 'cancelling', 'finished', 'waiting', 'has_takers', 'is_async',
    'slots', 'memory', 'submitted_by', 'max_running', 'rate', 'limit_by', 'task_max_running', 'task_rate', 'task_limit_by', 'held_by'},
    {'stored', 'cursor', 'retry_pending', 'rate_due', 'priority', 'bytes', 'chunk_seconds', 'measured_seconds', 'measured_items', 'learnt'})
  if not b.queue or b.paused or b.waiting or b.cancelling or b.finished then return nil end
  b.async_items = tonumber(b.is_async and redis.call('HGET', GM .. 'async_items', b.queue) or 1)
  local slots = tonumber(redis.call('HGET', GM .. 'slots', b.queue) or 0)
  b.live_slots = slots
  read_limits(batch, b, math.ceil(slots / tonumber(b.slots or 1)))
  return b
end

-- Hand out items that are due for another attempt, in `most` messages at most; returns how many messages, and whether some are left. Items of an
-- async task share one with the due items behind them: where all between two of them have an outcome, which `take` leaves out.
local function release_due(batch, b, most, now)
  local due = redis.call('ZRANGEBYSCORE', key(batch, 'retry'), '-inf', now, 'LIMIT', 0, most * b.async_items)
  table.sort(due, function(one, other) return tonumber(one) < tonumber(other) end)
  local number, at = 0, 1
  while at <= #due and number < most and has_room(b, now) do
    local first, last, items = tonumber(due[at]), tonumber(due[at]), 1
    while items < capped(b, b.async_items) and due[at + items] do
      local following = tonumber(due[at + items])
      local between = following - last - 1
      if following - first >= most_items(b) then break end
      if between > 0 and redis.call('BITCOUNT', key(batch, 'done'), last + 1, following - 1, 'BIT') < between then break end
      last, items = following, items + 1
    end
    -- A chunk that has recorded each of its items and is about to leave flight may have that name: these wait for its end.
    if not redis.call('ZSCORE', key(batch, 'in_flight'), chunk_of(first, last - first + 1)) then
      for i = at, at + items - 1 do redis.call('ZREM', key(batch, 'retry'), due[i]) end
      hand_out(batch, b, first, last - first + 1, now)
      use_room(batch, b, items, now)
      number = number + 1
    end
    at = at + items
  end
  return number, at <= #due
end

-- Note where a batch that has more to hand out waits: in line for its turn, or in wanting:{q} until its queue has more than
-- `slots` slots.
local function note_waiting(batch, b, more, takes_turns, slots, now)
  if takes_turns and (more or redis.call('ZCOUNT', key(batch, 'retry'), '-inf', now) > 0) then
    sharing.join(batch, b)
  elseif more then
    redis.call('ZADD', wanting(b.queue), slots, batch)
    return
  end
  redis.call('ZREM', wanting(b.queue), batch)
end

-- Fill what is in flight of a batch: items due for another attempt first, then the next ones. Without workers nothing is
-- handed out: how to cut chunks depends on who is there. `turn` says what it is the batch's turn to use: a value of its
-- task's limit, or, as true, one place of those that wait in line. `known` is what `releasable` has just read, where the
-- batch has no limits. Returns how many messages it put.
local function release(batch, now, turn, known)
  work_left = work_left - 1
  local b = known or releasable(batch)
  if not b then return 0 end
  b.turn = turn
  -- A slot gets its next chunk when it has recorded one: more would only be cut too early.
  local room = b.places - redis.call('ZCARD', key(batch, 'in_flight'))
  local wanted = math.min(room, RELEASE_MOST)
  local most = wanted > 0 and math.max(0, math.min(wanted, turn == true and 1 or sharing.places(b))) or 0
  local before, number, attempts_left = b.cursor, 0, false
  if most > 0 and not b.by_value then number, attempts_left = release_due(batch, b, most, now) end
  while number < most and has_room(b, now) do
    local first, count, items = next_piece(batch, b, now)
    if not first then break end
    hand_out(batch, b, first, count, now)
    use_room(batch, b, items or count, now)
    number = number + 1
  end
  if b.cursor > before then redis.call('HSET', key(batch, 'state'), 'cursor', b.cursor) end
  if number > 0 then look_by(batch, next_look(now)) end
  local more = has_more(batch, b)
  if b.by_value then note_parked(batch, b, number < most, now) end
  note_stop(batch, b, more or attempts_left, now)
  -- One whose room was not filled wants to be released again, whatever the slots.
  local slots = (number == wanted and room > wanted or b.has_not_looked) and -1 or b.live_slots
  note_waiting(batch, b, more, number == most and most < wanted, slots, now)
  return number
end

-- Release the batches that wait for room of a task, for one value, while there is any: each in its turn.
local function release_waiting(task, value, now)
  local waiters, sooner = waiters_of(task, value), 'LT'
  for _ = 1, WAITERS_MOST do
    if work_left <= 0 then break end
    local head = redis.call('ZPOPMIN', waiters)
    local batch = head[1]
    if not batch then
      redis.call('ZREM', GM .. 'pacing', task .. ' ' .. value)
      return
    end
    if value ~= '' and redis.call('EXISTS', key(batch, 'parked')) == 1 then
      redis.call('ZADD', key(batch, 'ready'), 'LT', now, value)
    end
    if release(batch, now, value) == 0 and redis.call('ZSCORE', waiters, batch) then
      -- There is no room: it keeps its place.
      redis.call('ZADD', waiters, head[2], batch)
      sooner = 'NX'
      break
    end
  end
  redis.call('ZADD', GM .. 'pacing', sooner, now + PACE_MS, task .. ' ' .. value)
end

-- Let those in line on a queue take their turns; looks at `most` batches, about.
local function release_in_line(queue, most, now)
  sharing.give_turns(queue, most, function(batch) return release(batch, now, true) end)
end

-- Release those that wait for what left flight in this call.
local function release_freed(now)
  while #freed > 0 do
    local room = table.remove(freed)
    if redis.call('EXISTS', waiters_of(room[1], room[2])) == 1 then release_waiting(room[1], room[2], now) end
  end
  for queue in pairs(left_queues) do release_in_line(queue, TURNS_MOST, now) end
end

-- Release the batches whose rate, or whose task's, lets them hand out more by now.
local function release_paced(now)
  for _, paced in ipairs(redis.call('ZRANGE', GM .. 'pacing', '-inf', now, 'BYSCORE', 'LIMIT', 0, PACED_MOST)) do
    if work_left <= CALL_MOST / 4 then return end
    redis.call('ZREM', GM .. 'pacing', paced)
    local task, value = string.match(paced, '^(.*) (%x*)$')
    if task then release_waiting(task, value, now) else release(paced, now) end
  end
end

-- In how many ms a worker is to ask for that again, or -1: together, the workers ask 20 times a second at most.
local function until_paced(now)
  local first = redis.call('ZRANGE', GM .. 'pacing', 0, 0, 'WITHSCORES')[2]
  return first and math.max(math.ceil(first - now), PACE_MS * redis.call('ZCARD', GM .. 'workers')) or -1
end

-- Release up to `most` batches that want more since the fleet of their queue grew, oldest wish first.
local function release_wanting(queue, most, now)
  local slots = tonumber(redis.call('HGET', GM .. 'slots', queue) or 0)
  if slots == 0 then return end
  for _, batch in ipairs(redis.call('ZRANGE', wanting(queue), '-inf', '(' .. slots, 'BYSCORE', 'LIMIT', 0, most)) do
    if work_left <= 0 then return end
    redis.call('ZREM', wanting(queue), batch)
    release(batch, now)
  end
end
