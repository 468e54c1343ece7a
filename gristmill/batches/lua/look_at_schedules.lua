--@ look_at_schedules() frees
--@ uses batches/schedules
-- The schedules that are due, and a note that somebody has looked: what comes due while nobody looks is missed.
-- Touches: schedule_watch, schedules_due, schedule:{s}:state. Returns {now, workers, {schedule, its state, …}}, times in ms.
-- Milliseconds between two notes, at least: not every look of every worker is a write.
local LOOK_MOST, NOTE_MS = 50, 500
local now = milliseconds()
local watch = redis.call('HMGET', GM .. 'schedule_watch', 'looked', 'since')
if redis.call('EXISTS', GM .. 'schedules_due') == 0 and not watch[1] then return {now, 0, {}} end
local since = watch[1] and now - watch[1] <= AWAY_MS and watch[2] or now
if not watch[1] or now - watch[1] >= NOTE_MS then
  redis.call('HSET', GM .. 'schedule_watch', 'looked', now, 'since', since)
end
local due = {}
for _, schedule in ipairs(redis.call('ZRANGE', GM .. 'schedules_due', '-inf', now, 'BYSCORE', 'LIMIT', 0, LOOK_MOST)) do
  local values = redis.call('HMGET', schedule_key(schedule, 'state'), 'id', 'next', 'timetable', 'timezone', 'start')
  if values[1] and values[2] then
    due[#due + 1] = schedule
    due[#due + 1] = values
  else
    redis.call('ZREM', GM .. 'schedules_due', schedule)
  end
end
return {now, redis.call('ZCARD', GM .. 'workers'), due}
