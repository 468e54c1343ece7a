--@ plan(schedule, token, due: number, actor, definition: list)
--@ uses batches/schedules server/audit
-- Make a schedule of the items that the draft `token` has; `definition` has its state, names and values by turns, and it is
-- due at `due`. Repeating it changes nothing.
-- Touches: audit, schedules, schedules_due, schedule_watch, schedule:{s}:state, schedule:{s}:in, schedule:{s}:limit_values, draft:{token}, draft:{token}:limit_values.
-- Returns 'made', 'exists' (with the same items and times), 'other' (with others), or 'lost' when the draft is gone.
local s, values = schedule_state(schedule), named(definition)
if s.id and s.id ~= token then
  redis.call('DEL', draft_key(token), draft_key(token) .. ':limit_values')
  for _, field in ipairs({'task', 'fixed', 'sha', 'timetable', 'timezone', 'missed', 'overlap'}) do
    if s[field] ~= values[field] then return 'other' end
  end
  return 'exists'
end
if not s.id then
  if redis.call('EXISTS', draft_key(token)) == 0 then return 'lost' end
  redis.call('COPY', draft_key(token), schedule_key(schedule, 'in'), 'REPLACE')
  redis.call('PERSIST', schedule_key(schedule, 'in'))
  if redis.call('COPY', draft_key(token) .. ':limit_values', schedule_key(schedule, 'limit_values'), 'REPLACE') == 1 then
    redis.call('PERSIST', schedule_key(schedule, 'limit_values'))
  end
  redis.call('HSET', schedule_key(schedule, 'state'), 'id', token, 'created', milliseconds(), unpack(definition))
  note_action(actor, 'make', 'schedule', schedule)
end
redis.call('ZADD', GM .. 'schedules', 'NX', milliseconds(), schedule)
if not s.next and not s.last_due then set_next(schedule, {}, due) end
redis.call('DEL', draft_key(token), draft_key(token) .. ':limit_values')
-- Before the first schedule of all, workers that live have noted no look.
if redis.call('EXISTS', GM .. 'workers') == 1 and redis.call('HSETNX', GM .. 'schedule_watch', 'looked', milliseconds()) == 1 then
  redis.call('HSET', GM .. 'schedule_watch', 'since', milliseconds())
end
return 'made'
