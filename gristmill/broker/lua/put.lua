--@ put(queue, level, token, remember: number, messages: list)
--@ uses broker/expiry
-- Put a lot of messages, once: a lot whose answer was lost may be put again within `remember` ms.
-- Touches put:{token} (expires), the stream of the level; q, back, suspects of a queue that expires.
if not redis.call('SET', GM .. 'put:' .. token, 1, 'NX', 'PX', remember) then return end
local key = stream(queue, level)
for _, message in ipairs(messages) do redis.call('XADD', key, '*', 'm', message) end
keep(queue)
