--@ uses batches/new_batch
-- Schedules: from each, a batch is made at each of its times. Keys, all below {prefix}gm1: :
--   schedules             zset    schedule -> when it was made, ms
--   schedules_due         zset    schedule that is not paused -> when somebody has to look at it, ms
--   schedule_watch        hash    looked: when somebody last looked, ms; since: since when somebody has looked all the time
--   schedule:{s}:state    hash    id timetable timezone start missed overlap next paused created submitted_by task sha
--                                 stored bytes fields (the state of its batches, JSON) last_batch last_due runs left_out reason
--   schedule:{s}:in       stream  the blocks of its items, as a batch has them
--   schedule:{s}:limit_values  string  what limits by value know its items by, as a batch has it
--   draft:{token}         stream  the blocks of a schedule that is being made; expires
-- Milliseconds without a look after which what came due meanwhile is missed; and how late a run may begin otherwise.
local AWAY_MS, LATE_MS = 10000, 60000

local function schedule_key(schedule, part) return GM .. 'schedule:' .. schedule .. ':' .. part end
local function draft_key(token) return GM .. 'draft:' .. token end

local function schedule_state(schedule) return named(redis.call('HGETALL', schedule_key(schedule, 'state'))) end

-- Make the batch `run` of a schedule, or what is lacking of it; false when a batch of that name is none of the schedule's.
local function start_run(schedule, s, run, now)
  local b, fields = state(run, {'task', 'schedule', 'input_ended'}, {}), cjson.decode(s.fields)
  if b.task and b.schedule ~= schedule then return false end
  if not b.task then
    fields[#fields + 1], fields[#fields + 2] = 'schedule', schedule
    create_batch(run, fields, now)
  end
  if not b.input_ended then
    redis.call('COPY', schedule_key(schedule, 'in'), key(run, 'in'), 'REPLACE')
    redis.call('COPY', schedule_key(schedule, 'limit_values'), key(run, 'limit_values'), 'REPLACE')
    redis.call('HSET', key(run, 'state'), 'stored', s.stored, 'bytes', s.bytes, 'sha', s.sha, 'rejected', s.rejected,
      'input_ended', now, 'input_ended_by', 'schedule')
    count_open(named(fields).queue, false, tonumber(s.stored))
    -- Here, because a run by hand may have the time of one that is due: that is one batch.
    redis.call('HINCRBY', schedule_key(schedule, 'state'), 'runs', 1)
  end
  redis.call('HSET', schedule_key(schedule, 'state'), 'last_batch', run)
  redis.call('HDEL', schedule_key(schedule, 'state'), 'reason')
  release(run, now)
  return true
end

-- The schedule is due next at `following`, or never with -1; nothing is due of a paused one.
local function set_next(schedule, s, following)
  if following < 0 then
    redis.call('HDEL', schedule_key(schedule, 'state'), 'next')
    redis.call('ZREM', GM .. 'schedules_due', schedule)
    return
  end
  -- In this order: a schedule that has its next time is not made due by whoever repeats a call that a crash cut in half.
  if not s.paused then redis.call('ZADD', GM .. 'schedules_due', following, schedule) end
  redis.call('HSET', schedule_key(schedule, 'state'), 'next', following)
end

-- Why nothing is run at a time that was due.
local function leave_out(schedule, reason)
  redis.call('HINCRBY', schedule_key(schedule, 'state'), 'left_out', 1)
  redis.call('HSET', schedule_key(schedule, 'state'), 'reason', reason)
end

local function runs_still(run)
  local b = run and state(run, {'task', 'finished'}, {})
  return b and b.task and not b.finished
end
