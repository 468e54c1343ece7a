-- Hand out nothing more of a batch until it is resumed, or resume it. ARGV: prefix, batch, 1 to pause.
-- Touches: batch:{b}:state, and what release touches. Returns 1 when that changed anything, 0 when it was so already,
-- or the batch is gone, has ended or is being cancelled.
local batch = ARGV[2]
local b = state(batch, {'task', 'paused', 'cancelling', 'finished'}, {})
if not b.task or b.cancelling or b.finished or (b.paused ~= nil) == (ARGV[3] == '1') then return 0 end
local now = milliseconds()
if ARGV[3] == '1' then
  redis.call('HSET', key(batch, 'state'), 'paused', now)
else
  redis.call('HDEL', key(batch, 'state'), 'paused')
  release(batch, now)
end
return 1
