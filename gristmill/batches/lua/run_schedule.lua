--@ run_schedule(schedule, token, run, actor)
--@ uses batches/schedules server/answers server/audit
-- Make a batch of a schedule now, whatever its times. Touches: audit, schedule:{s}:state, answer:{token}, and what create touches.
-- Returns 'run', 'exists' (there is a batch of that name), or 'lost' when there is no such schedule.
local before = answered(token)
if before then return before end
local s = schedule_state(schedule)
if not s.id then return 'lost' end
if not start_run(schedule, s, run, milliseconds()) then return remember(token, 'exists') end
note_action(actor, 'run', 'schedule', schedule, run)
return remember(token, 'run')
