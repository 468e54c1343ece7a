-- Create a batch, or take over as its producer when it exists and nobody else is feeding it.
-- ARGV: prefix, batch, producer's token, lease of the producer in ms, then field and value of the state, by turns.
-- Touches: schema, batches, active, learnt, batch:{b}:state.
--   state fields  task queue parameter fixed fingerprint retries retry_seconds chunk_seconds priority halt ttl
--                 created submitted_by
--                 epoch stored bytes sha cursor again ended paused cancelling reason cut finished rejected
--                 succeeded failed cancelled dead duplicates consumed measured_seconds measured_items learnt producer producer_until
-- Returns 'created', 'exists', 'other' (it has another task or other fixed arguments), 'fed' (another producer is
-- feeding it), 'cancelled' (before all its items were stored) or 'newer' (the layout is of a newer version).
local batch, token, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local now = milliseconds()
if tonumber(redis.call('GET', GM .. 'schema') or 1) > 1 then return 'newer' end
local b = state(batch, {'producer', 'ended', 'task', 'fixed', 'cut'}, {'producer_until'})
local given = {}
for i = 5, #ARGV, 2 do given[ARGV[i]] = ARGV[i + 1] end
local answer = 'exists'
if not b.task then
  redis.call('SET', GM .. 'schema', 1)
  local fields = {}
  for i = 5, #ARGV do fields[#fields + 1] = ARGV[i] end
  -- The first epoch is one that no forgotten batch of this name had: late records of that do not fit.
  redis.call('HSET', key(batch, 'state'), 'created', now, 'epoch', now, 'stored', 0, unpack(fields))
  local learnt = redis.call('HGET', GM .. 'learnt', given.task .. ' ' .. given.fingerprint)
  if learnt then redis.call('HSET', key(batch, 'state'), 'learnt', learnt) end
  redis.call('ZADD', GM .. 'batches', now, batch)
  redis.call('SADD', GM .. 'active', batch)
  answer = 'created'
elseif given.task ~= b.task or given.fixed ~= b.fixed then
  return 'other'
elseif b.cut then
  return 'cancelled'
elseif not b.ended and b.producer ~= token and b.producer_until > now then
  return 'fed'
end
if not b.ended then
  redis.call('HSET', key(batch, 'state'), 'producer', token, 'producer_until', now + lease)
end
return answer
