-- Delete every key of a batch. ARGV: prefix, batch. Touches: every key of the batch, batches, active.
local batch = ARGV[2]
local names = keys_of(batch, state(batch, {}, {'stored'}).stored)
redis.call('ZREM', GM .. 'batches', batch)
redis.call('SREM', GM .. 'active', batch)
for i = 1, #names, 1000 do redis.call('UNLINK', unpack(names, i, math.min(i + 999, #names))) end
