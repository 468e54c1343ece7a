-- The names of all batches, oldest first, without those whose time has come. ARGV: prefix.
-- Touches: batches, batch:{b}:state.
local names = {}
for _, batch in ipairs(redis.call('ZRANGE', GM .. 'batches', 0, -1)) do
  if redis.call('EXISTS', key(batch, 'state')) == 1 then
    names[#names + 1] = batch
  else
    redis.call('ZREM', GM .. 'batches', batch)
  end
end
return names
