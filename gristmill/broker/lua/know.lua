--@ know(consumer, tasks: list) frees
--@ uses broker/lease
-- Say which tasks a consumer knows. Touches tasks_of.
redis.call('HSET', TASKS_OF, consumer, '\n' .. table.concat(tasks, '\n') .. '\n')
