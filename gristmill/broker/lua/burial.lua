--@ uses broker/lease
-- Keep a message that `consumer` owns as a dead letter, then remove it. When all dead letters would then take more than
-- `limit` bytes, hand it back instead, in place, to be taken after `wait` ms: no letter is dropped to make room.
-- Returns 1: kept, 0: handed back.
local function bury(queue, level, id, consumer, reason, deaths, limit, wait)
  local entry = redis.call('XRANGE', stream(queue, level), id, id)[1]
  if entry then
    local letter = {'queue', queue, 'level', level, 'reason', reason, 'deaths', deaths, 'worker', consumer,
      'at', string.format('%d', milliseconds()), 'message', fields_of(entry).m or ''}
    local bytes = weight(letter)
    if (redis.call('GET', DEAD_BYTES) or 0) + bytes > limit then
      give_back(queue, level, id, milliseconds() + wait)
      return 0
    end
    redis.call('XADD', DEAD, '*', unpack(letter))
    redis.call('INCRBY', DEAD_BYTES, bytes)
  end
  remove(queue, level, {id})
  return 1
end
