--@ uses server/keys
-- What is on a queue: the names of its keys, putting, counting.
--   {prefix}gm1:q:{queue}:{level}    stream  messages of one priority, 0 first; group gm; field m is a kombu message
--   {prefix}gm1:q:{queue}:alarm      stream  the last alarm; its reader takes, and learns when a message is due; group gm
--   {prefix}gm1:back:{queue}         zset    place of each message handed back, still pending in the group -> level;
--                                            of one that may be taken only later: when, ms
--   {prefix}gm1:later:{queue}        zset    level and message, as one text -> when it is due, ms
-- A message's place on its queue is {level}/{id}, its tag {level}/{id}/{queue}.
local GROUP, NOBODY, LEVELS, ALARM, UNHEARD_MS = 'gm', '-', 9, 'alarm', 500

local function stream(queue, level) return GM .. 'q:' .. queue .. ':' .. level end
local function back(queue) return GM .. 'back:' .. queue end
local function later(queue) return GM .. 'later:' .. queue end

local function place_of(level, id) return level .. '/' .. id end
local function tag_of(level, id, queue) return level .. '/' .. id .. '/' .. queue end

-- The level and the id of a place.
local function split_place(place) return string.match(place, '^(%d)/(.+)$') end

-- The queue, the level and the id of a tag; an alarm has one too.
local function split_tag(tag)
  local level, id, queue = string.match(tag, '^(%w+)/([^/]+)/(.*)$')
  return queue, level, id
end

-- Wake one reader that waits for messages of the queue.
local function ring(queue) redis.call('XADD', stream(queue, ALARM), 'MAXLEN', 1, '*', 'a', 1) end

-- Wake another reader where one that was woken has not taken within half a second: it is stopped, or was never told.
local function ring_again(queue)
  local last = redis.call('XRANGE', stream(queue, ALARM), '-', '+')[1]
  if not last then return end
  local unheard = redis.pcall('XPENDING', stream(queue, ALARM), GROUP, 'IDLE', UNHEARD_MS, last[1], last[1], 1)
  if unheard[1] then ring(queue) end
end

-- Put one message for the Celery task `task` on `queue`, on priority `level`; `args` is a JSON array, `now` in ms.
-- Returns its place.
local function put(queue, level, task, id, args, now)
  return place_of(level, redis.call('XADD', stream(queue, level), '*', 'm', cjson.encode({
    body = '[' .. args .. ',{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]',
    ['content-type'] = 'application/json',
    ['content-encoding'] = 'utf-8',
    headers = {
      lang = 'py', task = task, id = id, root_id = id, parent_id = cjson.null, group = cjson.null,
      retries = 0, timelimit = {cjson.null, cjson.null}, eta = cjson.null, expires = cjson.null,
      argsrepr = args, kwargsrepr = '{}', origin = 'gristmill', ignore_result = true,
    },
    properties = {
      correlation_id = id, delivery_mode = 2, priority = level, delivery_tag = id .. '@' .. now,
      delivery_info = {exchange = '', routing_key = queue},
    },
  })))
end

-- Whether the message at `place` is still to be done: waiting, or taken and not acknowledged.
local function stands(queue, place)
  local level, id = split_place(place)
  return #redis.call('XRANGE', stream(queue, level), id, id) == 1
end

-- Number of messages on `queue` that no worker has taken; those that wait for their time are not counted.
local function waiting(queue)
  local number = redis.call('ZCOUNT', back(queue), 0, LEVELS)
  for level = 0, LEVELS do
    local length = redis.call('XLEN', stream(queue, level))
    if length > 0 then
      -- It fails while there is no group yet: nothing was taken then.
      local pending = redis.pcall('XPENDING', stream(queue, level), GROUP)
      number = number + length - (pending.err and 0 or pending[1])
    end
  end
  return number
end

-- Number of messages on `queue` that wait or are being worked on; those that wait for their time are not counted.
local function standing(queue)
  local number = 0
  for level = 0, LEVELS do number = number + redis.call('XLEN', stream(queue, level)) end
  return number
end

-- The fields of an entry of a stream, by name.
local function fields_of(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return fields
end
