--@ uses batches/limits
-- The items of a batch that is limited by value. Those that are to be handed out are parked, by value: whatever comes
-- before the others of its batch, the next item of a value with room is at hand. Items of which nobody has told the value
-- are handed out in one chunk, for a worker to tell it (tell_values.lua), and are parked again then.
--   batch:{b}:parked  zset  index, of PARKED_DIGITS digits -> its value, as a number
--   batch:{b}:ready   zset  value with parked items -> when to try it, ms; not while its items that run, or batches that
--                           wait before this one, have to make room
local PARKED_DIGITS = 12
-- Items that are parked at once, that one release parks, and that a batch has parked, at most: beyond the last number, no
-- item is handed out before one of those that are parked.
local PARKED_AT_ONCE, PARKED_BY_CALL, PARKED_MOST = 500, 2000, 100000

local function parked_name(index) return string.format('%0' .. PARKED_DIGITS .. 'd', index) end

-- The text of a value, from the number that it has among the parked items.
local function value_text(number) return string.format('%0' .. VALUE_BYTES .. 'x', number) end

-- Park the items first to first+count-1, those without an outcome.
local function park(batch, first, count, now)
  local values, done = values_of(batch, first, count), bits_of(key(batch, 'done'), first, count)
  local parked, ready = {}, {}
  for i, value in ipairs(values) do
    if string.byte(done, i) == 48 then
      parked[#parked + 1], parked[#parked + 2] = tonumber(value, 16), parked_name(first + i - 1)
      ready[#ready + 1], ready[#ready + 2] = now, value
    end
  end
  if #parked == 0 then return end
  redis.call('ZADD', key(batch, 'parked'), unpack(parked))
  redis.call('ZADD', key(batch, 'ready'), 'NX', unpack(ready))
end

-- Park what runs again: attempts that are due, what a chunk did not get to, what `retry` gave back.
local function park_again(batch, b, now)
  for _, index in ipairs(redis.call('ZRANGEBYSCORE', key(batch, 'retry'), '-inf', now, 'LIMIT', 0, PARKED_AT_ONCE)) do
    -- A chunk that has recorded the item and is about to leave flight may have that name: it waits for its end.
    if not redis.call('ZSCORE', key(batch, 'in_flight'), chunk_of(index, 1)) then
      redis.call('ZREM', key(batch, 'retry'), index)
      park(batch, tonumber(index), 1, now)
    end
  end
  b.cap = PARKED_AT_ONCE
  local cursor, room = b.cursor, PARKED_AT_ONCE
  b.cursor = b.stored
  while room > 0 do
    local first, count = next_chunk(batch, b, 1)
    if not first then break end
    park(batch, first, count, now)
    room = room - count
  end
  b.cursor = cursor
end

-- Park further items from the cursor on; returns whether there were any.
local function park_next(batch, b, now)
  local count = math.min(b.stored - b.cursor, PARKED_AT_ONCE)
  if count <= 0 or redis.call('ZCARD', key(batch, 'parked')) >= PARKED_MOST then return false end
  if b.parked >= PARKED_BY_CALL then
    b.has_not_looked = true
    return false
  end
  park(batch, b.cursor, count, now)
  b.cursor, b.parked = b.cursor + count, b.parked + count
  return true
end

-- How many chunks of a value wait for a slot: what matters only where many wait at all.
local function waiting_of(batch, b, value)
  if not b.waiting or b.waiting == 0 then return 0 end
  if not b.waiting_by_value then
    b.waiting_by_value = {}
    for _, chunk in ipairs(redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1)) do
      if redis.call('HEXISTS', key(batch, 'started'), chunk) == 0 then
        local of = values_of(batch, range_of(chunk), 1)[1]
        b.waiting_by_value[of] = (b.waiting_by_value[of] or 0) + 1
      end
    end
  end
  return b.waiting_by_value[value] or 0
end

-- Whether the limits of a value let one of its items go. If not, it is not ready until what stops it tells.
local function value_has_room(batch, b, value, now)
  for _, limit in ipairs(b.value_limits) do
    read_counts(limit, value)
    if not lets(b, limit, waiting_of(batch, b, value), now) then
      if b.wait_for then
        wait_for_room(batch, b, b.wait_for, b.wait_until, now)
        b.wait_for, b.wait_until = nil, nil
      end
      if b.again then
        redis.call('ZADD', key(batch, 'ready'), b.again, value)
      else
        redis.call('ZREM', key(batch, 'ready'), value)
      end
      b.again = nil
      return false
    end
  end
  return true
end

-- Take the first parked item of a value out.
local function unpark(batch, b, value, name, now)
  redis.call('ZREM', key(batch, 'parked'), name)
  for _, limit in ipairs(b.value_limits) do use_limit(batch, b, limit, 1, now) end
  if b.waiting_by_value then b.waiting_by_value[value] = (b.waiting_by_value[value] or 0) + 1 end
  -- The other values come first.
  b.turns = b.turns + 1
  redis.call('ZADD', key(batch, 'ready'), string.format('%.3f', now + math.min(b.turns, 999) / 1000), value)
end

-- Take those of the first parked items out whose values nobody has told, and that follow one another: as first and count,
-- and that this uses up no rate.
local function unpark_untold(batch)
  local names = redis.call('ZRANGE', key(batch, 'parked'), 0, 0, 'BYSCORE', 'LIMIT', 0, PARKED_AT_ONCE)
  local first, count = tonumber(names[1]), 1
  while tonumber(names[count + 1]) == first + count do count = count + 1 end
  redis.call('ZREM', key(batch, 'parked'), unpack(names, 1, count))
  return first, count, 0
end

-- The next item whose value has room, as first and count; nil when there is none.
local function next_parked(batch, b, now)
  if not b.turns then
    b.turns, b.parked = 0, 0
    park_again(batch, b, now)
  end
  for _ = 1, PARKED_AT_ONCE do
    local value = redis.call('ZRANGE', key(batch, 'ready'), '-inf', '(' .. now + 1, 'BYSCORE', 'LIMIT', 0, 1)[1]
    local number = value and tonumber(value, 16)
    local name = value and redis.call('ZRANGE', key(batch, 'parked'), number, number, 'BYSCORE', 'LIMIT', 0, 1)[1]
    if name and value == UNTOLD then
      return unpark_untold(batch)
    elseif name then
      if value_has_room(batch, b, value, now) then
        unpark(batch, b, value, name, now)
        return tonumber(name), 1
      end
    elseif value then
      redis.call('ZREM', key(batch, 'ready'), value)
    elseif not park_next(batch, b, now) then
      return nil
    end
  end
  b.has_not_looked = true
  return nil
end

-- The next chunk, first and count, and how many items that is where they are fewer; nil when there is none.
local function next_piece(batch, b, now)
  if b.by_value then return next_parked(batch, b, now) end
  return next_chunk(batch, b, sharers(b))
end

-- What holds a batch that has room for more, and when its rate lets more be handed out.
local function note_parked(batch, b, has_slots, now)
  if not has_slots then
    b.stop = nil
    return
  end
  local first = tonumber(redis.call('ZRANGE', key(batch, 'ready'), 0, 0, 'WITHSCORES')[2])
  if first and first >= now + 1 then b.again = math.min(b.again or first, first) end
  if b.has_not_looked or redis.call('EXISTS', key(batch, 'parked')) == 0 then return end
  local held_by = b.held_by and not string.find(b.held_by, '^batch ') and b.held_by
  b.stop = b.stop or held_by or (b.rate and 'rate' or b.task_rate and 'task_rate' or 'max_running')
end
