--@ delete_schedule(schedule, actor) frees
--@ uses batches/schedules server/audit
-- Delete a schedule; the batches that were made of it stay. Touches: audit, schedules, schedules_due, schedule:{s}:state,
-- schedule:{s}:in, schedule:{s}:limit_values, schedule_watch. Returns how many there were, 0 or 1.
redis.call('ZREM', GM .. 'schedules', schedule)
redis.call('ZREM', GM .. 'schedules_due', schedule)
redis.call('UNLINK', schedule_key(schedule, 'in'), schedule_key(schedule, 'limit_values'))
-- Where there are no schedules, nobody looks.
if redis.call('EXISTS', GM .. 'schedules') == 0 then redis.call('DEL', GM .. 'schedule_watch') end
local number = redis.call('DEL', schedule_key(schedule, 'state'))
if number == 1 then note_action(actor, 'delete', 'schedule', schedule) end
return number
