--@ uses batches/sources batches/scheduled batches/notices batches/silence
-- How a batch ends: by itself, by `cancel`, by --halt; and how long it is kept then. What several scripts share.
local SETTLE_MS = 1000
-- How long a worker may take to learn what it is to end: longer than any worker lives without a heartbeat.
local KILL_KEPT_MS = 3600000

-- The names of a batch's keys, whatever it holds.
local function keys_of(batch, stored)
  local names = {}
  local parts = 'state in done failed cancelled consumed retained_inputs events attempts retry retry_pending remainder ' ..
    'in_flight message_of started meter logs slowest appends values limit_values parked ready running rates ' ..
    'dependents takers'
  for part in string.gmatch(parts, '%S+') do names[#names + 1] = key(batch, part) end
  for bucket = 0, math.ceil(stored / BUCKET) - 1 do names[#names + 1] = key(batch, 'out:' .. bucket) end
  return names
end

-- What waits to be handed out, but for the items behind the cursor, waits no more.
local function forget_waiting(batch, queue)
  redis.call('DEL', key(batch, 'retry_pending'), key(batch, 'retry'), key(batch, 'remainder'), key(batch, 'parked'),
    key(batch, 'ready'))
  redis.call('ZREM', wanting(queue), batch)
end

-- Nothing of the batch is handed out any more, or comes due.
local function end_release(batch, queue)
  end_flights(batch)
  forget_waiting(batch, queue)
  redis.call('DEL', key(batch, 'running'), key(batch, 'rates'))
  redis.call('ZREM', GM .. 'due', batch)
  redis.call('ZREM', GM .. 'pacing', batch)
  redis.call('ZREM', GM .. 'active', batch)
  redis.call('ZREM', GM .. 'closing', batch)
  redis.call('ZREM', GM .. 'scheduled', batch)
  redis.call('ZREM', GM .. 'stalls', batch)
  -- Counts cannot drift for long.
  if redis.call('EXISTS', GM .. 'active') == 0 then redis.call('DEL', GM .. 'queue:' .. queue) end
end

-- Keep a batch that has ended for `ttl` ms more.
local function expire(batch, ttl, stored)
  if not ttl then return end
  for _, name in ipairs(keys_of(batch, stored)) do redis.call('PEXPIRE', name, ttl) end
  redis.call('ZADD', GM .. 'expiring', math.floor(server_microseconds() / 1000) + ttl, batch)
end

-- Tell whoever follows a batch that it has ended; once nobody needs it any more, it is kept for its ttl.
local function let_go(batch, b, now)
  local resolved = links.resolve(batch, now)
  if (not b.has_takers or sources.tell(batch, now)) and resolved then expire(batch, b.ttl, b.stored) end
end

-- Count a batch that has ended, once for each end. Key:
--   ended  hash  {queue}|{state}|{task} -> batches that have ended so, ever
local function count_end(b)
  local ended_as = (b.cancelled > 0 or b.input_cut) and 'cancelled' or b.failed + b.dead > 0 and 'failed' or 'succeeded'
  redis.call('HINCRBY', GM .. 'ended', b.queue .. '|' .. ended_as .. '|' .. b.task, 1)
end

-- Mark the batch as finished when its input has ended and every item has an outcome; from then on it is kept for ttl.
local function finish(batch, now)
  local b = state(batch, {'queue', 'input_ended', 'input_cut', 'finished', 'ttl', 'task', 'fingerprint', 'waiting', 'has_takers'},
    {'stored', 'succeeded', 'failed', 'cancelled', 'dead', 'measured_seconds', 'measured_items'})
  if not b.input_ended or b.finished or b.waiting or left_of(b) ~= 0 then return end
  -- In this order: where a crash cuts the script in half, no finished batch is one that is being cancelled.
  redis.call('HDEL', key(batch, 'state'), 'paused', 'cancelling', 'retry_pending', 'held_by')
  redis.call('HSET', key(batch, 'state'), 'finished', now)
  count_end(b)
  notices.tell_end(batch, now)
  learn(b.task, b.fingerprint, b.measured_seconds, b.measured_items)
  -- Chunks that ran twice may have left some behind.
  end_release(batch, b.queue)
  let_go(batch, b, now)
end

-- Have a worker end what it runs: it learns that with its next heartbeat. Keys:
--   kill:{worker}  set  ids of messages, or batch#index of one item; the worker says when it has ended them
local function note_kill(worker, id)
  redis.call('SADD', GM .. 'kill:' .. worker, id)
  redis.call('PEXPIRE', GM .. 'kill:' .. worker, KILL_KEPT_MS)
end

-- The chunks of a batch that run, as a list; all others leave flight. The chunks of the workers in `killable` do not count
-- as running any more, and their workers are to end them; they are returned too, as a flat list of worker, chunk of the
-- message.
local function running(batch, b, now, killable)
  local runs, killed, flights, gone = {}, {}, flight_state(batch), silence.gone_before(now)
  local chunks = redis.call('ZRANGE', key(batch, 'in_flight'), 0, -1, 'WITHSCORES')
  for i = 1, #chunks, 2 do
    local chunk, seen = chunks[i], tonumber(chunks[i + 1])
    local worker, message = runner_of(redis.call('HGET', key(batch, 'started'), chunk))
    local runs_on = worker and seen > gone
    if runs_on and not killable[worker] then
      runs[#runs + 1] = chunk
    else
      leave_flight(batch, flights, chunk)
      if runs_on then
        note_kill(worker, message_id(batch, b.epoch, range_of(message)))
        killed[#killed + 1] = worker
        killed[#killed + 1] = message
      end
    end
  end
  return runs, killed
end

-- The items without an outcome, but for those of the ranges, {first, count} each, as a bitmap that the caller deletes.
local function open_items(batch, stored, ranges)
  local done, open = key(batch, 'done'), key(batch, 'open')
  -- The bitmap as long as the batch: then its complement is what is open, but for the last byte's spare bits.
  redis.call('SETBIT', done, stored - 1, redis.call('GETBIT', done, stored - 1))
  redis.call('BITOP', 'NOT', open, done)
  fill(open, stored, -stored % 8, 0)
  for _, range in ipairs(ranges) do fill(open, range[1], range[2], 0) end
  return open
end

-- Every item without an outcome, but for those of the chunks `runs`, becomes a cancelled one. Bitmaps make that a few
-- operations on stored/8 bytes, however many items there are.
local function cancel_open(batch, queue, stored, runs)
  local ranges = {}
  for i, chunk in ipairs(runs) do ranges[i] = {range_of(chunk)} end
  local done, cancelled, open = key(batch, 'done'), key(batch, 'cancelled'), open_items(batch, stored, ranges)
  local number = redis.call('BITCOUNT', open)
  if number > 0 then
    redis.call('BITOP', 'OR', cancelled, cancelled, open)
    redis.call('BITOP', 'OR', done, done, open)
    redis.call('HINCRBY', key(batch, 'state'), 'cancelled', number)
    count_open(queue, false, -number)
  end
  redis.call('DEL', open)
  redis.call('HSET', key(batch, 'state'), 'cursor', stored)
end

-- In a batch that is being cancelled: every item without an outcome that does not run becomes a cancelled one.
local function settle(batch, now, killable)
  local b = state(batch, {'queue', 'epoch'}, {'stored'})
  local runs, killed = running(batch, b, now, killable)
  forget_waiting(batch, b.queue)
  redis.call('HDEL', key(batch, 'state'), 'retry_pending')
  if b.stored > 0 then cancel_open(batch, b.queue, b.stored, runs) end
  look_by(batch, now + SETTLE_MS)
  finish(batch, now)
  release_freed(now)
  return killed
end

-- Pause a batch, or end its pause. Its open items count as paused ones meanwhile.
local function set_paused(batch, paused, now)
  local b = state(batch, {'queue', 'paused', 'waiting'}, COUNTERS)
  if (b.paused ~= nil) == paused then return end
  local open = b.waiting and 0 or left_of(b)
  count_open(b.queue, not paused, -open)
  count_open(b.queue, paused, open)
  if paused then
    redis.call('HSET', key(batch, 'state'), 'paused', now)
    redis.call('ZREM', wanting(b.queue), batch)
  else
    redis.call('HDEL', key(batch, 'state'), 'paused')
  end
  forget_time(batch)
end

-- Cancel a batch that has not finished; its input ends with it, and `input_cut` says so. Returns as `running` what to kill.
local function cancel(batch, now, reason, killable)
  local b = state(batch, {'input_ended', 'cancelling', 'from_batch', 'unmet'}, {})
  if not b.input_ended then
    redis.call('HSET', key(batch, 'state'), 'input_ended', now, 'input_cut', 1)
    redis.call('HDEL', key(batch, 'state'), 'producer', 'producer_until')
    sources.let_go(b.from_batch, now)
  end
  set_paused(batch, false, now)
  -- It has not begun: once it is retried, it waits again. `unmet` stays only where it is the reason.
  if links.end_waiting(batch) and b.unmet ~= reason then redis.call('HSET', key(batch, 'state'), 'unmet', '') end
  if not b.cancelling then redis.call('HSET', key(batch, 'state'), 'cancelling', now, 'reason', reason) end
  return settle(batch, now, killable)
end
links.cancel, links.finish = cancel, finish

-- The workers that run chunks of a batch and can end them: those with processes, and where the items are coroutines, all.
local function killable_workers(batch, is_async)
  local killable = {}
  for _, entry in ipairs(redis.call('HVALS', key(batch, 'started'))) do
    local worker = runner_of(entry)
    local details = worker and redis.call('HGET', GM .. 'heartbeats', worker)
    if details and (is_async or cjson.decode(details).pool == 'prefork') then killable[worker] = true end
  end
  return killable
end

-- Cancel a batch when as many of its items have failed, or succeeded, as --halt says: so many, or a share of all once
-- their number is known. The field `success_halt` says that it was for its successes.
local function heed_halt(batch, now)
  local b = state(batch, {'halt', 'input_ended', 'cancelling', 'finished', 'is_async'}, {'stored', 'succeeded', 'failed', 'dead'})
  if not b.halt or b.cancelling or b.finished then return end
  local number, share = string.match(b.halt, '([%d.]+)(%%?)$')
  if share == '%' and not b.input_ended then return end
  local most = share == '%' and b.stored * number / 100 or tonumber(number)
  local successes = string.find(b.halt, 'success=', 1, true)
  local items = successes and b.succeeded or b.failed + b.dead
  if items == 0 or items < most then return end
  redis.call('HSET', key(batch, 'state'), 'halted', 1)
  if successes then redis.call('HSET', key(batch, 'state'), 'success_halt', 1) end
  local reason = items .. (successes and ' succeeded' or ' failed') .. ', and --halt is ' .. b.halt
  cancel(batch, now, reason, string.find(b.halt, '^now,') and killable_workers(batch, b.is_async) or {})
end
links.keys_of, links.heed_halt = keys_of, heed_halt
