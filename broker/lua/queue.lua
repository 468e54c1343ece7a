-- What is on a queue, as the transport keeps it; the one place that knows how. Today's transport is kombu's for Redis.
--   {prefix}{queue}   list    Celery protocol-2 messages, newest at the head
local PREFIX = ARGV[1]

-- Put one message for the Celery task `task` on `queue`; `args` is a JSON array, `now` in milliseconds.
local function put(queue, task, id, args, now)
  redis.call('LPUSH', PREFIX .. queue, cjson.encode({
    body = '[' .. args .. ',{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]',
    ['content-type'] = 'application/json',
    ['content-encoding'] = 'utf-8',
    headers = {
      lang = 'py', task = task, id = id, root_id = id, parent_id = cjson.null, group = cjson.null,
      retries = 0, timelimit = {cjson.null, cjson.null}, eta = cjson.null, expires = cjson.null,
      argsrepr = args, kwargsrepr = '{}', origin = 'gristmill', ignore_result = true,
    },
    properties = {
      correlation_id = id, delivery_mode = 2, priority = 0, delivery_tag = id .. '@' .. now,
      delivery_info = {exchange = '', routing_key = queue},
    },
  }))
end

-- Number of messages on `queue` that no worker has taken.
local function waiting(queue)
  return redis.call('LLEN', PREFIX .. queue)
end
