--@ fire(schedule, id, due: number, run, after_due: number, after_now: number)
--@ uses batches/schedules
-- Make the batch `run` of a schedule that was due at `due`, once, and set when it is due next: `after_due` is the time behind
-- that, and `after_now` the next one to come; -1 for none. Repeating it changes nothing.
-- Touches: schedules_due, schedule:{s}:state, schedule:{s}:in, and what create touches.
-- Returns 'run', 'missed' or 'overlap' (left out), 'waits' (for the end of the run before), 'exists' (there is a batch of
-- that name), or 'lost' (somebody else did it, or the schedule is paused or gone).
local now, s = milliseconds(), schedule_state(schedule)
if s.id ~= id or tonumber(s.next) ~= due or s.paused or due > now then return 'lost' end
local since = tonumber(redis.call('HGET', GM .. 'schedule_watch', 'since') or now)
local missed = due < math.max(since, now - LATE_MS)
local following = missed and after_now or after_due

local function answer()
  if missed and s.missed == 'skip' then
    leave_out(schedule, 'missed')
    return 'missed'
  end
  if runs_still(s.last_batch) then
    if s.overlap == 'wait' then return 'waits' end
    leave_out(schedule, 'overlap')
    return 'overlap'
  end
  if s.waits then following = after_now end
  if start_run(schedule, s, run, now) then return 'run' end
  leave_out(schedule, 'exists')
  return 'exists'
end

local done = answer()
if done == 'waits' then
  redis.call('HSET', schedule_key(schedule, 'state'), 'waits', 1)
  -- Others are due too: the next look begins with them.
  redis.call('ZADD', GM .. 'schedules_due', now, schedule)
  return done
end
redis.call('HDEL', schedule_key(schedule, 'state'), 'waits')
redis.call('HSET', schedule_key(schedule, 'state'), 'last_due', due)
set_next(schedule, s, following)
return done
