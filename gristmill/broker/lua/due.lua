--@ uses broker/queue
-- Messages that wait for their time, and what happens at that time.
--   {prefix}gm1:revoked           zset    task id -> until when its revoke is remembered, ms
--   {prefix}gm1:revoked_stamps    zset    name and value of a stamp, with a NUL between them -> the same
local REVOKED, REVOKED_STAMPS = GM .. 'revoked', GM .. 'revoked_stamps'
-- Most messages of a queue that one call moves.
local MOVE_MOST = 200

local function has_revoked_stamp(headers)
  local names, stamps = headers.stamped_headers, headers.stamps
  if type(names) ~= 'table' or type(stamps) ~= 'table' then return false end
  for _, name in ipairs(names) do
    local values = stamps[name]
    for _, value in ipairs(type(values) == 'table' and values or {values}) do
      local stamp = tostring(name) .. '\0' .. tostring(value)
      if redis.call('ZSCORE', REVOKED_STAMPS, stamp) then return true end
    end
  end
  return false
end

local function is_revoked(text)
  if redis.call('EXISTS', REVOKED, REVOKED_STAMPS) == 0 then return false end
  local read, message = pcall(cjson.decode, text)
  local headers = read and type(message) == 'table' and message.headers
  if type(headers) ~= 'table' then return false end
  local id = headers.id
  return type(id) == 'string' and redis.call('ZSCORE', REVOKED, id) or has_revoked_stamp(headers)
end

-- Put the messages of `later` that are due on their streams, which wakes readers.
local function move_due(queue, now)
  for _, member in ipairs(redis.call('ZRANGE', later(queue), '-inf', now, 'BYSCORE', 'LIMIT', 0, MOVE_MOST)) do
    local level, text = string.sub(member, 1, 1), string.sub(member, 2)
    redis.call('XADD', stream(queue, level), '*', 'm', text, 'mark', is_revoked(text) and 'revoked' or 'due')
    redis.call('ZREM', later(queue), member)
  end
end

-- Give the messages that were hidden until now their places again. Returns how many those are.
local function show_hidden(queue, now)
  local places = redis.call('ZRANGE', back(queue), '(' .. LEVELS, now, 'BYSCORE', 'LIMIT', 0, MOVE_MOST)
  for _, place in ipairs(places) do
    local level = split_place(place)
    redis.call('ZADD', back(queue), level, place)
  end
  return #places
end

-- The ms until the next message of the queue is due; nil if none waits.
local function until_next(queue, now)
  local next_due = tonumber(redis.call('ZRANGE', later(queue), 0, 0, 'WITHSCORES')[2])
  local hidden = redis.call('ZRANGE', back(queue), '(' .. LEVELS, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
  if hidden and not (next_due and next_due < tonumber(hidden)) then next_due = tonumber(hidden) end
  return next_due and math.max(0, next_due - now)
end
