-- Put a lot of messages, once: a lot whose answer was lost may be put again.
-- ARGV: prefix, queue, level, the lot's token, ms for which a second call is known as one, messages…
-- Touches put:{token} (expires), the stream of the level.
if not redis.call('SET', PREFIX .. 'gm1:put:' .. ARGV[4], 1, 'NX', 'PX', ARGV[5]) then return end
local key = stream(ARGV[2], ARGV[3])
for i = 6, #ARGV do redis.call('XADD', key, '*', 'm', ARGV[i]) end
