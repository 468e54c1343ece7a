--@ pause_schedule(schedule, token, paused: flag, following: number, actor) frees
--@ uses batches/schedules server/answers server/audit
-- Make no batches of a schedule until it is resumed, or resume it: then it is due at `following` next, or never with -1.
-- Touches: audit, schedules_due, schedule:{s}:state, answer:{token}. Returns 1, 0 when it was so already, -1 when there is none.
local before = answered(token)
if before then return tonumber(before) end
local s = schedule_state(schedule)
if not s.id then return -1 end
if (s.paused ~= nil) == paused then return 0 end
if paused then
  redis.call('HSET', schedule_key(schedule, 'state'), 'paused', milliseconds())
  redis.call('ZREM', GM .. 'schedules_due', schedule)
else
  redis.call('HDEL', schedule_key(schedule, 'state'), 'paused', 'waits')
  set_next(schedule, {}, following)
end
note_action(actor, paused and 'pause' or 'resume', 'schedule', schedule)
return remember(token, 1)
