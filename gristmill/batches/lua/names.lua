--@ names() frees
--@ uses batches/upkeep
-- The names of all batches, oldest first, without those whose time has come. Does what has come due first: without
-- workers nobody else does. Touches: batches, expiring, and what upkeep touches.
upkeep(milliseconds())
local expired = redis.call('ZRANGE', GM .. 'expiring', '-inf', math.floor(server_microseconds() / 1000), 'BYSCORE')
for _, batch in ipairs(expired) do
  -- In the millisecond of its time a key is still there: the batch stays listed for the next call.
  if redis.call('EXISTS', key(batch, 'state')) == 0 then
    redis.call('ZREM', GM .. 'expiring', batch)
    redis.call('ZREM', GM .. 'batches', batch)
  end
end
return redis.call('ZRANGE', GM .. 'batches', 0, -1)
