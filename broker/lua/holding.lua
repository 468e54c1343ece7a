-- Who holds a message, and what ends that. Each script of the transport begins with queue.lua and this. Further keys:
--   {prefix}gm1:lease:{queue}        zset    consumer -> when it was last heard of, ms: its claim on all it has taken
--   {prefix}gm1:suspects:{queue}     hash    {level}/{id} -> how often its worker died, and + once it runs again
--   {prefix}gm1:dead                 stream  dead letters: queue, level, reason, deaths, worker, at, message
--   {prefix}gm1:dead:bytes           string  the bytes of all their fields
-- A message's tag is {level}/{id}/{queue}. In the group, NOBODY owns what was handed back.
local LIMIT = 3

local function lease(queue) return PREFIX .. 'gm1:lease:' .. queue end
local DEAD, DEAD_BYTES = PREFIX .. 'gm1:dead', PREFIX .. 'gm1:dead:bytes'
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

local function weight(fields)
  local bytes = 0
  for _, text in ipairs(fields) do bytes = bytes + #text end
  return bytes
end

-- Keep a message as a dead letter, then remove it. False, and nothing is done, when the dead letters would then
-- take more than `most` bytes (nil: any number): none is ever dropped to make room.
local function bury(queue, level, id, reason, deaths, worker, most)
  local entry = redis.call('XRANGE', stream(queue, level), id, id)[1]
  if entry then
    local letter = {'queue', queue, 'level', level, 'reason', reason, 'deaths', string.format('%d', deaths),
      'worker', worker, 'at', string.format('%d', milliseconds()), 'message', entry[2][2]}
    local bytes = weight(letter)
    if most and (redis.call('GET', DEAD_BYTES) or 0) + bytes > most then return false end
    redis.call('XADD', DEAD, '*', unpack(letter))
    redis.call('INCRBY', DEAD_BYTES, bytes)
  end
  remove(queue, level, {id})
  return true
end

local function kept(queue, level, id)
  local entry = redis.call('XRANGE', stream(queue, level), id, id)[1]
  local read, message = pcall(cjson.decode, entry and entry[2][2] or '')
  return read and type(message.headers) == 'table' and message.headers.gm_keep == true
end

-- A worker died holding this message: hand it back, or give it up after LIMIT deaths. The first death makes
-- whatever the worker held a suspect; later ones count only when it is `certain`, or noted, that it was running.
local function died(queue, level, id, worker, certain)
  local place = level .. '/' .. id
  local deaths, running = string.match(redis.call('HGET', suspects(queue), place) or '0+', '^(%d+)(%+?)$')
  if certain or running == '+' then deaths = deaths + 1 end
  if tonumber(deaths) >= LIMIT and not kept(queue, level, id) then
    bury(queue, level, id, 'its worker died', deaths, worker)
    return true
  end
  redis.call('HSET', suspects(queue), place, string.format('%d', deaths))
  give_back(queue, level, id)
  return false
end
