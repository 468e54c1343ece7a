--@ take(consumer, credit: number, create: flag, queues: list, tags: list) frees
--@ uses broker/expiry
-- Take at most `credit` messages, the first level first, and write down in the same step who has them; acknowledge those
-- of `tags` on the way. `create` creates groups that are missing.
-- Touches: of each queue q, back, later, lease, suspects; revoked (zset, see revoke.lua).
-- Returns {ms until a message is due or -1, tags not acknowledged, {tag, message, returns, revoked, deliveries, …}}, the
-- deliveries without this one.
local now, due, taken = milliseconds(), -1, {}
local refused = acknowledge(consumer, tags)

local function hand(queue, level, entry, returns, deliveries)
  local fields, n = fields_of(entry), #taken
  taken[n + 1], taken[n + 2] = tag_of(level, entry[1], queue), fields.m or ''
  taken[n + 3], taken[n + 4], taken[n + 5] = returns, fields.revoked and 1 or 0, deliveries
  credit = credit - 1
end

local function revoked(text)
  if redis.call('EXISTS', GM .. 'revoked') == 0 then return false end
  local read, message = pcall(cjson.decode, text)
  local headers = read and type(message) == 'table' and message.headers
  local id = type(headers) == 'table' and headers.id
  return type(id) == 'string' and redis.call('ZSCORE', GM .. 'revoked', id)
end

local function wake(queue)
  for _, member in ipairs(redis.call('ZRANGE', later(queue), '-inf', now, 'BYSCORE', 'LIMIT', 0, 200)) do
    local level, text = string.sub(member, 1, 1), string.sub(member, 2)
    if revoked(text) then
      redis.call('XADD', stream(queue, level), '*', 'm', text, 'revoked', 1)
    else
      redis.call('XADD', stream(queue, level), '*', 'm', text)
    end
    redis.call('ZREM', later(queue), member)
  end
  local following = redis.call('ZRANGE', later(queue), 0, 0, 'WITHSCORES')
  if following[2] then
    local wait = math.max(0, tonumber(following[2]) - now)
    if due < 0 or wait < due then due = wait end
  end
end

local function ripen(queue)
  for _, place in ipairs(redis.call('ZRANGE', back(queue), '(' .. LEVELS, now, 'BYSCORE', 'LIMIT', 0, 200)) do
    local natural = split_place(place)
    redis.call('ZADD', back(queue), natural, place)
  end
end

local function take_back(queue, level)
  for _, place in ipairs(redis.call('ZRANGE', back(queue), level, level, 'BYSCORE', 'LIMIT', 0, credit)) do
    redis.call('ZREM', back(queue), place)
    local _, id = split_place(place)
    local deliveries = owned(stream(queue, level), id, NOBODY)
    if deliveries then
      local entry = redis.call('XCLAIM', stream(queue, level), GROUP, consumer, 0, id)[1]
      if entry then hand(queue, level, entry, redis.call('HGET', suspects(queue), place) or '0', deliveries) end
    end
  end
end

local function read(queue, level)
  local key = stream(queue, level)
  local answer = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', credit, 'STREAMS', key, '>')
  if type(answer) == 'table' and answer.err then
    if not string.find(answer.err, 'NOGROUP') then return redis.call('XGROUP', 'CREATE', key, GROUP, '0') end
    redis.call('XGROUP', 'CREATE', key, GROUP, '0', 'MKSTREAM')
    answer = redis.call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', credit, 'STREAMS', key, '>')
  end
  if answer then
    for _, entry in ipairs(answer[1][2]) do hand(queue, level, entry, '0', 0) end
  end
end

local handed_back = {}
for _, queue in ipairs(queues) do
  renew(queue, consumer, now)
  if redis.call('EXISTS', later(queue)) == 1 then wake(queue) end
  handed_back[queue] = redis.call('EXISTS', back(queue)) == 1
  if handed_back[queue] then ripen(queue) end
end
for level = 0, LEVELS do
  for _, queue in ipairs(queues) do
    if credit > 0 and handed_back[queue] then take_back(queue, level) end
    if credit > 0 and redis.call('XLEN', stream(queue, level)) > 0 then read(queue, level) end
    if create then redis.pcall('XGROUP', 'CREATE', stream(queue, level), GROUP, '0', 'MKSTREAM') end
  end
end
return {due, refused, taken}
