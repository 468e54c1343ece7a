-- How a batch ends: by itself, by `cancel`, by --halt; and how long it is kept then. What several scripts share.
-- Milliseconds after which a chunk that no worker shows does not run any more; as with workers in heartbeat.lua.
local GONE = 10000

-- The names of a batch's keys, whatever it holds.
local function keys_of(batch, stored)
  local names = {}
  local parts = 'state in done failed cancelled again consumed kept events attempts retry left window sent begun meter'
  for part in string.gmatch(parts, '%a+') do
    names[#names + 1] = key(batch, part)
  end
  for bucket = 0, math.ceil(stored / BUCKET) - 1 do names[#names + 1] = key(batch, 'out:' .. bucket) end
  return names
end

-- Mark the batch as finished when its input has ended and every item has an outcome; from then on it is kept for ttl.
local function finish(batch, now)
  local b = state(batch, {'ended', 'finished', 'ttl', 'task', 'fingerprint'},
    {'stored', 'succeeded', 'failed', 'cancelled', 'dead', 'measured_seconds', 'measured_items'})
  if not b.ended or b.finished or b.stored ~= b.succeeded + b.failed + b.cancelled + b.dead then return end
  redis.call('HSET', key(batch, 'state'), 'finished', now)
  redis.call('HDEL', key(batch, 'state'), 'paused', 'cancelling', 'again')
  redis.call('SREM', GM .. 'active', batch)
  learn(b.task, b.fingerprint, b.measured_seconds, b.measured_items)
  -- Chunks that ran twice may have left some behind.
  for part in string.gmatch('again retry left window sent begun', '%a+') do redis.call('DEL', key(batch, part)) end
  if b.ttl then
    for _, name in ipairs(keys_of(batch, b.stored)) do redis.call('PEXPIRE', name, b.ttl) end
  end
end

-- The chunks of a batch that run, as a list; all others leave the window. `killable` holds the names of workers whose
-- chunks do not count as running any more: returned too, as a flat list of worker, first:count of the message.
local function running(batch, now, killable)
  local runs, killed = {}, {}
  local window = redis.call('ZRANGE', key(batch, 'window'), 0, -1, 'WITHSCORES')
  for i = 1, #window, 2 do
    local chunk, seen = window[i], tonumber(window[i + 1])
    local worker, message = string.match(redis.call('HGET', key(batch, 'begun'), chunk) or '', '^(.*) (.*)$')
    local runs_on = worker and seen > now - GONE
    if runs_on and not killable[worker] then
      runs[#runs + 1] = chunk
    else
      leave_window(batch, chunk)
      if runs_on then
        killed[#killed + 1] = worker
        killed[#killed + 1] = message
      end
    end
  end
  return runs, killed
end

-- In a batch that is being cancelled: every item without an outcome that does not run becomes a cancelled one. Bitmaps
-- make that a few operations on stored/8 bytes, however many items there are.
local function settle(batch, now, killable)
  local stored = state(batch, {}, {'stored'}).stored
  local runs, killed = running(batch, now, killable)
  for part in string.gmatch('again retry left', '%a+') do redis.call('DEL', key(batch, part)) end
  redis.call('HDEL', key(batch, 'state'), 'again')
  if stored > 0 then
    local done, open, cancelled = key(batch, 'done'), key(batch, 'open'), key(batch, 'cancelled')
    -- The bitmap as long as the batch: then its complement is what is open, but for the last byte's spare bits.
    redis.call('SETBIT', done, stored - 1, redis.call('GETBIT', done, stored - 1))
    redis.call('BITOP', 'NOT', open, done)
    fill(open, stored, -stored % 8, 0)
    for _, chunk in ipairs(runs) do
      local first, count = string.match(chunk, '^(%d+):(%d+)$')
      fill(open, tonumber(first), tonumber(count), 0)
    end
    local number = redis.call('BITCOUNT', open)
    if number > 0 then
      redis.call('BITOP', 'OR', cancelled, cancelled, open)
      redis.call('BITOP', 'OR', done, done, open)
      redis.call('HINCRBY', key(batch, 'state'), 'cancelled', number)
    end
    redis.call('DEL', open)
    redis.call('HSET', key(batch, 'state'), 'cursor', stored)
  end
  finish(batch, now)
  return killed
end

-- Cancel a batch that has not finished; its input ends with it, and `cut` says so. Returns as `running` what to kill.
local function cancel(batch, now, reason, killable)
  local b = state(batch, {'ended', 'cancelling'}, {})
  if not b.ended then
    redis.call('HSET', key(batch, 'state'), 'ended', now, 'cut', 1)
    redis.call('HDEL', key(batch, 'state'), 'producer', 'producer_until')
  end
  redis.call('HDEL', key(batch, 'state'), 'paused')
  if not b.cancelling then redis.call('HSET', key(batch, 'state'), 'cancelling', now, 'reason', reason) end
  return settle(batch, now, killable)
end

-- Cancel a batch when as many of its items have failed as --halt allows: so many, or a share of all once their number
-- is known.
local function heed_halt(batch, now)
  local b = state(batch, {'halt', 'ended', 'cancelling', 'finished'}, {'stored', 'failed', 'dead'})
  if not b.halt or b.cancelling or b.finished then return end
  local number, share = string.match(b.halt, '^([%d.]+)(%%?)$')
  if share == '%' and not b.ended then return end
  local most = share == '%' and b.stored * number / 100 or tonumber(number)
  local failures = b.failed + b.dead
  if failures > 0 and failures >= most then
    cancel(batch, now, failures .. ' failed, and --halt is ' .. b.halt, {})
  end
end
