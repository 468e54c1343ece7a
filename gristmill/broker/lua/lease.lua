--@ uses broker/queue broker/watchers server/clock
-- Who holds a message, and what ends that. In the group, NOBODY owns what was handed back. Keys beside queue.lua's:
--   {prefix}gm1:lease:{queue}        zset    consumer -> when it was last heard of, ms: its claim on all it has taken
--   {prefix}gm1:suspects:{queue}     hash    place -> how often it came back from workers that died
--   {prefix}gm1:unknown_tasks:{queue}  hash  see refuse.lua
--   {prefix}gm1:dead                 stream  dead letters: queue, level, reason, deaths, worker, at, message
--   {prefix}gm1:dead:bytes           string  the bytes of all their fields
--   {prefix}gm1:tasks_of             hash    consumer -> the tasks that it knows, each between line feeds
local DEAD, DEAD_BYTES = GM .. 'dead', GM .. 'dead:bytes'
local TASKS_OF = GM .. 'tasks_of'

local function lease(queue) return GM .. 'lease:' .. queue end
local function suspects(queue) return GM .. 'suspects:' .. queue end
local function unknown_tasks(queue) return GM .. 'unknown_tasks:' .. queue end

-- How often a pending message that `owner` has was delivered; nil if it is not the owner's. The group counts it.
local function owned(key, id, owner)
  local entries = redis.pcall('XPENDING', key, GROUP, id, id, 1, owner)
  return not entries.err and entries[1] and entries[1][4] or nil
end

local function remove(queue, level, ids)
  redis.call('XACK', stream(queue, level), GROUP, unpack(ids))
  redis.call('XDEL', stream(queue, level), unpack(ids))
  for _, notes in ipairs({suspects(queue), unknown_tasks(queue)}) do
    if redis.call('EXISTS', notes) == 1 then
      for _, id in ipairs(ids) do redis.call('HDEL', notes, place_of(level, id)) end
    end
  end
end

-- Acknowledge those of the `tags` that `owner` owns; returns the others.
local function acknowledge(owner, tags)
  local refused, groups = {}, {}
  for _, tag in ipairs(tags) do
    local queue, level, id = split_tag(tag)
    local key = stream(queue, level)
    if owned(key, id, owner) then
      groups[key] = groups[key] or {queue = queue, level = level, ids = {}}
      table.insert(groups[key].ids, id)
    else
      refused[#refused + 1] = tag
    end
  end
  for _, group in pairs(groups) do remove(group.queue, group.level, group.ids) end
  return refused
end

-- Wake one reader of the queue, which waits for messages that come to a stream, and hears nothing of what was handed back.
local rung = {}
local function ring_once(queue)
  if not rung[queue] then ring(queue) end
  rung[queue] = true
end

-- Hand a pending message back, in place: the next worker with room takes it before what is new on its level,
-- but not before `due`, in ms, if that is given. `deliveries`, if given, corrects the group's count: the message was
-- taken, and nobody has seen it.
local function give_back(queue, level, id, due, deliveries)
  local call = {'XCLAIM', stream(queue, level), GROUP, NOBODY, 0, id, 'JUSTID'}
  if deliveries then call[8], call[9] = 'RETRYCOUNT', math.max(0, deliveries) end
  -- Before nobody owns it: where a crash cuts a script in half, the message would be nobody's and nowhere.
  redis.call('ZADD', back(queue), due or level, place_of(level, id))
  redis.call(unpack(call))
  ring_once(queue)
end

-- What a dead letter counts for.
local function weight(fields)
  local bytes = 0
  for _, text in ipairs(fields) do bytes = bytes + #text end
  return bytes
end

-- A worker died holding this message, or (`times`) the process that ran it: count that, then hand it back.
local function return_suspect(queue, level, id, times)
  redis.call('HINCRBY', suspects(queue), place_of(level, id), times or 1)
  give_back(queue, level, id)
end

-- Nobody has to watch a consumer any more: it is dead, or its lease has ended. What it knew does not count.
local function end_watch(consumer)
  redis.call('HDEL', TASKS_OF, consumer)
  redis.call('HDEL', CONSUMERS, consumer)
  redis.call('ZREM', WATCHERS, consumer)
end

-- Hand back what a dead consumer holds of a queue, at most `most` messages; returns how many those are. After fewer, it holds
-- none, and the queue forgets it.
local function take_over(queue, consumer, most)
  local handed = 0
  for level = 0, LEVELS do
    local key = stream(queue, level)
    if handed < most and redis.call('XLEN', key) > 0 then
      local entries = redis.pcall('XPENDING', key, GROUP, '-', '+', most - handed, consumer)
      if entries.err then entries = {} end
      for _, entry in ipairs(entries) do return_suspect(queue, level, entry[1]) end
      handed = handed + #entries
    end
  end
  -- The dead one may have been woken for what is there, or may alone have known when a message is due.
  if redis.call('EXISTS', back(queue), later(queue)) > 0 then ring_once(queue) end
  if handed >= most then return handed end
  -- Nothing is pending under its name any more: deleting a consumer would drop what is.
  for level = 0, LEVELS do redis.pcall('XGROUP', 'DELCONSUMER', stream(queue, level), GROUP, consumer) end
  redis.pcall('XGROUP', 'DELCONSUMER', stream(queue, ALARM), GROUP, consumer)
  redis.call('ZREM', lease(queue), consumer)
  return handed
end
