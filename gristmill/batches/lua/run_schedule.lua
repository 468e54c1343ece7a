--@ run_schedule(schedule, token, run)
--@ uses batches/upkeep batches/schedules server/answers
-- Make a batch of a schedule now, whatever its times. Touches: schedule:{s}:state, answer:{token}, and what create touches.
-- Returns 'run', 'exists' (there is a batch of that name), or 'lost' when there is no such schedule.
local before = answered(token)
if before then return before end
local s = schedule_state(schedule)
if not s.id then return 'lost' end
return remember(token, start_run(schedule, s, run, milliseconds()) and 'run' or 'exists')
