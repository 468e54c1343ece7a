-- Give back the failed and dead items of a batch, to be run again. ARGV: prefix, batch, 1 for the cancelled ones too.
-- Their bits move from one bitmap to another: a few operations on stored/8 bytes, however many they are.
-- Touches: every key of the batch, active. Returns how many they are, or -1 while the batch is being cancelled.
local batch, parts = ARGV[2], {'failed'}
local now = milliseconds()
local b = state(batch, {'task', 'cancelling', 'finished'}, {'stored', 'failed', 'dead', 'cancelled'})
if b.cancelling then return -1 end
local number = b.failed + b.dead
if ARGV[3] == '1' then
  parts[2], number = 'cancelled', number + b.cancelled
end
if not b.task or number == 0 then return 0 end

if b.finished then
  -- Nothing of it runs that counts, so messages that are still on the queue are void.
  redis.call('HINCRBY', key(batch, 'state'), 'epoch', 1)
  redis.call('HDEL', key(batch, 'state'), 'finished')
  redis.call('SADD', GM .. 'active', batch)
  for _, name in ipairs(keys_of(batch, b.stored)) do redis.call('PERSIST', name) end
end
for _, part in ipairs(parts) do
  redis.call('BITOP', 'XOR', key(batch, 'done'), key(batch, 'done'), key(batch, part))
  redis.call('BITOP', 'OR', key(batch, 'again'), key(batch, 'again'), key(batch, part))
  redis.call('DEL', key(batch, part))
  redis.call('HSET', key(batch, 'state'), part, 0)
end
redis.call('HSET', key(batch, 'state'), 'dead', 0, 'again', 1)
release(batch, now)
return number
