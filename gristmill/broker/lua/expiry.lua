--@ uses broker/lease
-- Queues that expire (kombu's x-expires): `expires` ms after the last message was put or the last consumer left. A queue
-- does not expire while a consumer has a lease on it, dead ones too because they may hold messages, nor while a message
-- waits for its time. Keys beside lease.lua's:
--   {prefix}gm1:expires       hash  queue -> ms
--   {prefix}gm1:expiry_looks  zset  queue -> when to look whether consumers still use it, ms
local EXPIRES, LOOKS = GM .. 'expires', GM .. 'expiry_looks'
-- Queues that one scan looks at, at most, and the ms between two looks at one.
local LOOKS_MOST, LOOK_AGAIN_MS = 20, 10000

-- The keys of a queue that expire together.
local function keys_that_expire(queue)
  local keys = {back(queue), suspects(queue), unknown_tasks(queue), stream(queue, ALARM)}
  for level = 0, LEVELS do keys[#keys + 1] = stream(queue, level) end
  return keys
end

-- Keep a queue that is in use, or let its time begin anew.
local function keep(queue)
  local expires = redis.call('HGET', EXPIRES, queue)
  if not expires then return end
  local in_use = redis.call('EXISTS', lease(queue), later(queue)) > 0
  for _, key in ipairs(keys_that_expire(queue)) do
    if in_use then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, expires) end
  end
end

-- Note that a consumer lives, and holds what it has taken.
local function renew(queue, consumer, now)
  if redis.call('ZADD', lease(queue), now, consumer) == 1 then keep(queue) end
end

-- Whether a consumer, dead or alive, holds a message.
local function holds(queue)
  for level = 0, LEVELS do
    local pending = redis.pcall('XPENDING', stream(queue, level), GROUP)
    for _, owner in ipairs(not pending.err and pending[4] or {}) do
      if owner[1] ~= NOBODY then return true end
    end
  end
  return false
end

-- The time of a queue begins when its consumers have been silent for `silent` ms, and none of them holds a message.
local function look_whether_used(queue, now, silent)
  redis.call('ZADD', LOOKS, now + LOOK_AGAIN_MS, queue)
  if redis.call('ZCOUNT', lease(queue), now - silent, '+inf') > 0 or holds(queue) then return end
  redis.call('DEL', lease(queue))
  if redis.call('EXISTS', later(queue)) == 1 then return end
  local expires, exists = redis.call('HGET', EXPIRES, queue), false
  for _, key in ipairs(keys_that_expire(queue)) do
    exists = redis.call('PTTL', key) ~= -2 or exists
    if expires then redis.call('PEXPIRE', key, expires, 'NX') end
  end
  if not exists then
    redis.call('HDEL', EXPIRES, queue)
    redis.call('ZREM', LOOKS, queue)
  end
end

-- Look at the queues that nobody has looked at for some time.
local function expire_unused(now, silent)
  for _, queue in ipairs(redis.call('ZRANGE', LOOKS, '-inf', now, 'BYSCORE', 'LIMIT', 0, LOOKS_MOST)) do
    look_whether_used(queue, now, silent)
  end
end
