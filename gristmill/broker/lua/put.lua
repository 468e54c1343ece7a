--@ put(queue, level, wait: number, sender, number: number, messages: list)
--@ uses broker/expiry server/answers
-- Put messages, once: a sender numbers its puts, and repeats one whose answer was lost with the same number. A put without a
-- sender is never repeated. With `wait` above 0 the messages are due only in `wait` ms.
-- Touches answer:{sender}/{queue}; the stream of the level, or later and the alarm; all of a queue that expires.
-- Readers look at the queue within this time, so that only nearer messages need an alarm.
local UNSEEN_MS = 10000
local token = sender .. '/' .. queue
if sender ~= '' and number <= (tonumber(answered(token)) or 0) then return end
if wait > 0 then
  local first = tonumber(redis.call('ZRANGE', later(queue), 0, 0, 'WITHSCORES')[2])
  local due = milliseconds() + wait
  for _, message in ipairs(messages) do redis.call('ZADD', later(queue), due, level .. message) end
  if wait < UNSEEN_MS and not (first and first <= due) then ring(queue) end
else
  local key = stream(queue, level)
  for _, message in ipairs(messages) do redis.call('XADD', key, '*', 'm', message) end
end
keep(queue)
if sender ~= '' then remember(token, string.format('%d', number)) end
