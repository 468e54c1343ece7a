--@ delete_schedule(schedule) frees
--@ uses batches/schedules
-- Delete a schedule; the batches that were made of it stay. Touches: schedules, schedules_due, schedule:{s}:state,
-- schedule:{s}:in, schedule:{s}:limit_values. Returns how many there were, 0 or 1.
redis.call('ZREM', GM .. 'schedules', schedule)
redis.call('ZREM', GM .. 'schedules_due', schedule)
redis.call('UNLINK', schedule_key(schedule, 'in'), schedule_key(schedule, 'limit_values'))
return redis.call('DEL', schedule_key(schedule, 'state'))
