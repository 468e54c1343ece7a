-- GCRA, the generic cell rate algorithm of ITU-T I.371: one thing each `interval`, of which those of the last `catch_up` may
-- be caught up. `due` is the theoretical arrival time, when the next one is due; all times are in one unit.

-- How many may come now, how long to wait where that is none, and when the first of them is due.
local function gcra(due, now, interval, catch_up)
  due = math.max(due or 0, now)
  local ahead = due - catch_up - now
  if ahead > 0 then return 0, ahead, due end
  return math.floor(-ahead / interval) + 1, 0, due
end
