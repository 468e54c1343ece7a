--@ take(consumer, credit: number, create: flag, queues: list, tags: list) frees
--@ uses broker/due broker/expiry
-- Take at most `credit` messages, the first level first, and write down in the same step who has them; acknowledge those
-- of `tags` on the way. `create` creates groups that are missing.
-- Touches: of each queue q, back, later, lease, suspects.
-- Returns {ms until a message is due or -1, tags not acknowledged, {tag, message, returns, mark, deliveries, …}}: the mark
-- is `due` or `revoked` for a message that has waited for its time, else empty; the deliveries are those before this one.
local now, due, taken = milliseconds(), -1, {}
local refused = acknowledge(consumer, tags)

local function hand(queue, level, entry, returns, deliveries)
  local fields, n = fields_of(entry), #taken
  taken[n + 1], taken[n + 2] = tag_of(level, entry[1], queue), fields.m or ''
  taken[n + 3], taken[n + 4], taken[n + 5] = returns, fields.mark or '', deliveries
  credit = credit - 1
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
  local waits = redis.call('EXISTS', later(queue)) == 1
  handed_back[queue] = redis.call('EXISTS', back(queue)) == 1
  if waits then move_due(queue, now) end
  if handed_back[queue] then show_hidden(queue, now) end
  local wait = (waits or handed_back[queue]) and until_next(queue, now)
  if wait and (due < 0 or wait < due) then due = wait end
end
for level = 0, LEVELS do
  for _, queue in ipairs(queues) do
    if credit > 0 and handed_back[queue] then take_back(queue, level) end
    if credit > 0 and redis.call('XLEN', stream(queue, level)) > 0 then read(queue, level) end
    if create then redis.pcall('XGROUP', 'CREATE', stream(queue, level), GROUP, '0', 'MKSTREAM') end
  end
end
for _, queue in ipairs(create and queues or {}) do
  redis.pcall('XGROUP', 'CREATE', stream(queue, ALARM), GROUP, '0', 'MKSTREAM')
end
-- Others that wait may have room for what is left.
for _, queue in ipairs(queues) do
  if handed_back[queue] and credit == 0 and redis.call('ZCOUNT', back(queue), 0, LEVELS) > 0 then ring_once(queue) end
end
return {due, refused, taken}
