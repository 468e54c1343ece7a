--@ uses batches/ending
-- Items of a batch are to run again.

-- The batch, which has ended, goes on.
local function reopen(batch, created, stored)
  -- Nothing of it runs that counts, so messages that are still on the queue are void.
  redis.call('HINCRBY', key(batch, 'state'), 'epoch', 1)
  redis.call('HDEL', key(batch, 'state'), 'finished', 'halted')
  -- It had the successes that its --halt asked for: who wants the rest gets it.
  if redis.call('HDEL', key(batch, 'state'), 'success_halt') == 1 then redis.call('HDEL', key(batch, 'state'), 'halt') end
  links.renew(batch)
  links.reopen(batch)
  links.reopen_takers(batch)
  redis.call('ZADD', GM .. 'active', created, batch)
  redis.call('ZREM', GM .. 'expiring', batch)
  for _, name in ipairs(keys_of(batch, stored)) do redis.call('PERSIST', name) end
  notices.watch(batch, tonumber(state(batch, {'stuck_after'}, {}).stuck_after), milliseconds())
end

-- The ranges, {first, count} each, of items that somebody has been handed or will be, without `retry`: a cancelled item
-- in one of them needs no other place.
local function ranges_ahead(batch, cursor, stored)
  local ranges = {}
  for _, part in ipairs({'in_flight', 'remainder'}) do
    for _, chunk in ipairs(redis.call('ZRANGE', key(batch, part), 0, -1)) do ranges[#ranges + 1] = {range_of(chunk)} end
  end
  if cursor < stored then ranges[#ranges + 1] = {cursor, stored - cursor} end
  return ranges
end
