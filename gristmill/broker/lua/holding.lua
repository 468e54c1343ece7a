-- Who holds a message, and what ends that. Each script of the transport begins with queue.lua and this. Further keys:
--   {prefix}gm1:lease:{queue}        zset    consumer -> when it was last heard of, ms: its claim on all it has taken
--   {prefix}gm1:suspects:{queue}     hash    {level}/{id} -> how often it came back from workers that died
--   {prefix}gm1:dead                 stream  dead letters: queue, level, reason, deaths, worker, at, message
--   {prefix}gm1:dead:bytes           string  the bytes of all their fields
-- A message's tag is {level}/{id}/{queue}. In the group, NOBODY owns what was handed back.
local DEAD, DEAD_BYTES = PREFIX .. 'gm1:dead', PREFIX .. 'gm1:dead:bytes'

local function lease(queue) return PREFIX .. 'gm1:lease:' .. queue end
local function suspects(queue) return PREFIX .. 'gm1:suspects:' .. queue end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function split(tag)
  local level, id, queue = string.match(tag, '^(%d)/([^/]+)/(.*)$')
  return queue, level, id
end

local function owned(key, id, owner)
  local found = redis.pcall('XPENDING', key, GROUP, id, id, 1, owner)
  return not found.err and #found == 1
end

local function remove(queue, level, ids)
  redis.call('XACK', stream(queue, level), GROUP, unpack(ids))
  redis.call('XDEL', stream(queue, level), unpack(ids))
  if redis.call('EXISTS', suspects(queue)) == 1 then
    for _, id in ipairs(ids) do redis.call('HDEL', suspects(queue), level .. '/' .. id) end
  end
end

-- Acknowledge those of the tags ARGV[first] to ARGV[last] that `me` owns; returns the others.
local function acknowledge(me, first, last)
  local refused, groups = {}, {}
  for i = first, last do
    local queue, level, id = split(ARGV[i])
    local key = stream(queue, level)
    if owned(key, id, me) then
      groups[key] = groups[key] or {queue, level, {}}
      table.insert(groups[key][3], id)
    else
      refused[#refused + 1] = ARGV[i]
    end
  end
  for _, group in pairs(groups) do remove(group[1], group[2], group[3]) end
  return refused
end

-- Hand a pending message back, in place: the next worker with room takes it before what is new on its level,
-- but not before `due`, in ms, if that is given.
local function give_back(queue, level, id, due)
  redis.call('XCLAIM', stream(queue, level), GROUP, NOBODY, 0, id, 'JUSTID')
  redis.call('ZADD', back(queue), due or level, level .. '/' .. id)
end

-- What a dead letter counts for.
local function weight(fields)
  local bytes = 0
  for _, text in ipairs(fields) do bytes = bytes + #text end
  return bytes
end

-- A worker died holding this message, or (`times`) the process that ran it: count that, then hand it back.
local function came_back(queue, level, id, times)
  redis.call('HINCRBY', suspects(queue), level .. '/' .. id, times or 1)
  give_back(queue, level, id)
end
