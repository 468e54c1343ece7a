--@ wake(queues: list) frees
--@ uses broker/due server/clock
-- Put the messages that are due on their queues, and wake readers that wait for messages there.
-- Touches q, back, later of each queue. Returns the ms until the next message is due, or -1.
local now, due = milliseconds(), -1
for _, queue in ipairs(queues) do
  if redis.call('EXISTS', later(queue)) == 1 then move_due(queue, now) end
  -- No stream gets an entry for a message that was hidden.
  if redis.call('EXISTS', back(queue)) == 1 and show_hidden(queue, now) > 0 then ring(queue) end
  local wait = until_next(queue, now)
  if wait and (due < 0 or wait < due) then due = wait end
end
return due
