-- What is on a queue, as the transport keeps it: the names of its keys, putting, counting. ARGV[1] is the key prefix.
--   {prefix}gm1:q:{queue}:{level}    stream  messages of one priority, 0 first; group gm; field m is a kombu message
--   {prefix}gm1:back:{queue}         zset    {level}/{id} of messages handed back, still pending in the group, -> level;
--                                            of one that may be taken only later: when, ms
--   {prefix}gm1:later:{queue}        zset    level and message, as one text -> when it is due, ms
local PREFIX = ARGV[1]
local GROUP, NOBODY, LEVELS = 'gm', '-', 9

local function stream(queue, level) return PREFIX .. 'gm1:q:' .. queue .. ':' .. level end
local function back(queue) return PREFIX .. 'gm1:back:' .. queue end
local function later(queue) return PREFIX .. 'gm1:later:' .. queue end

-- Put one message for the Celery task `task` on `queue`, on priority `level`; `args` is a JSON array, `now` in ms.
-- Returns where it is, {level}/{id}.
local function put(queue, level, task, id, args, now)
  return level .. '/' .. redis.call('XADD', stream(queue, level), '*', 'm', cjson.encode({
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
  }))
end

-- Whether the message at `place` ({level}/{id}) is still to be done: waiting, or taken and not acknowledged.
local function stands(queue, place)
  local level, id = string.match(place, '^(%d)/(.+)$')
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
