--@ uses batches/ledger
-- Notices: what a batch with `notify` tells a URL, once it has ended or when none of its items ends any more. A notice is
-- written in the step that ends the batch, and stays until some worker has sent it. Keys, all below {prefix}gm1: :
--   notices         zset  notice -> when somebody has to send it, ms; while a worker sends it, when its claim ends
--   notice:{n}      hash  batch, created (of the batch), event, at, notify (the URL), state (of the batch then, JSON),
--                         claim (of the worker that sends it), since (of the first try, ms), tries, error
--   notices_failed  zset  notice that nobody sends any more -> since when, ms; its hash expires
--   state fields  notify  the URL; only its scheme and host are shown
--                 halted  --halt has ended the batch
--                 notice  the last notice, as JSON: id, event, state (pending, delivered, failed), at, tries, error
--                 stuck_after, moved, stuck: see stalls.lua
local notices = {}
do
  local FIELDS = {'notify', 'created', 'epoch', 'notice', 'stuck_after', 'moved', 'stuck', 'finished', 'paused', 'waiting',
    'input_ended', 'input_cut', 'halted', 'producer_until'}
  -- What the receiver is not told: it may be large, or is a secret.
  local LEFT_OUT = {'fixed', 'notify', 'notice'}

  function notices.key(id) return GM .. 'notice:' .. id end
  function notices.read(batch) return state(batch, FIELDS, COUNTERS) end

  -- The name of a notice is that of what it tells: whoever writes it again, after a torn write, writes the same one.
  local function id_of(batch, epoch, what) return 'msg_' .. redis.sha1hex(batch .. ' ' .. epoch .. ' ' .. what) end

  local function is_told(batch, b, what)
    return b.notice and cjson.decode(b.notice).id == id_of(batch, b.epoch, what)
  end

  -- Note on the batch what became of a notice, unless it has told another one since, or is gone.
  function notices.show(batch, created, entry, is_new)
    local b = state(batch, {'created', 'notice'}, {})
    if b.created ~= created or not is_new and b.notice and cjson.decode(b.notice).id ~= entry.id then return end
    redis.call('HSET', key(batch, 'state'), 'notice', cjson.encode(entry))
  end

  -- The batch's state as the receiver gets it.
  local function told_state(batch)
    local flat, fields = redis.call('HGETALL', key(batch, 'state')), {}
    for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
    for _, name in ipairs(LEFT_OUT) do fields[name] = nil end
    return cjson.encode(fields)
  end

  function notices.make(batch, b, event, what, now)
    if is_told(batch, b, what) then return end
    local id = id_of(batch, b.epoch, what)
    redis.call('HSET', notices.key(id), 'batch', batch, 'created', b.created, 'event', event, 'at', now, 'notify', b.notify,
      'state', told_state(batch))
    redis.call('ZADD', GM .. 'notices', now, id)
    notices.show(batch, b.created, {id = id, event = event, state = 'pending', at = now, tries = 0}, true)
  end

  -- A batch has ended. Repeating it for one end changes nothing.
  function notices.tell_end(batch, now)
    local b = notices.read(batch)
    if not b.notify or not b.finished then return end
    local event = b.halted and 'halted' or (b.input_cut or b.cancelled > 0) and 'cancelled'
      or b.failed + b.dead > 0 and 'failed' or 'succeeded'
    notices.make(batch, b, event, 'end', now)
  end

  -- No item of a batch has ended since `moved`.
  function notices.tell_stuck(batch, b, moved, now) notices.make(batch, b, 'stuck', 'stuck ' .. moved, now) end

  -- What holds of a batch now and is to be told: its end, or that it is stuck; nil for neither.
  local function to_tell(b)
    if b.finished then return 'end' end
    if b.stuck and b.stuck == b.moved then return 'stuck ' .. b.stuck end
  end

  -- Whether that was told to nobody who wants to know, because its notice was not written, or was given up; with `mend`, it is
  -- told after that.
  function notices.is_missed(batch, now, mend)
    local b = notices.read(batch)
    local what = b.notify and to_tell(b)
    if not what then return false end
    local is_written = is_told(batch, b, what)
    if is_written and cjson.decode(b.notice).state ~= 'failed' then return false end
    if not mend then return true end
    if is_written then
      local id = id_of(batch, b.epoch, what)
      redis.call('DEL', notices.key(id))
      redis.call('ZREM', GM .. 'notices_failed', id)
      redis.call('HDEL', key(batch, 'state'), 'notice')
      b.notice = nil
    end
    if b.finished then notices.tell_end(batch, now) else notices.tell_stuck(batch, b, b.stuck, now) end
    return true
  end

  -- A batch begins, or goes on: from now on its items should end.
  function notices.watch(batch, stuck_after, now)
    if not stuck_after then return end
    redis.call('HSET', key(batch, 'state'), 'moved', now)
    redis.call('ZADD', GM .. 'stalls', now + stuck_after, batch)
  end
end
