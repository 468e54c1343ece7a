-- Keep a message that the consumer still owns as a dead letter, then remove it. When all dead letters would then take
-- more than so many bytes, hand it back instead, in place, to be taken only later: none is ever dropped to make room.
-- ARGV: prefix, consumer, most bytes, ms until then, reason, deaths, tag. Touches q, back, suspects of its queue; dead,
-- dead:bytes. Returns 1: kept, 0: handed back, -1: no longer its own.
local queue, level, id = split(ARGV[7])
if not owned(stream(queue, level), id, ARGV[2]) then return -1 end
local entry = redis.call('XRANGE', stream(queue, level), id, id)[1]
if entry then
  local letter = {'queue', queue, 'level', level, 'reason', ARGV[5], 'deaths', ARGV[6], 'worker', ARGV[2],
    'at', string.format('%d', milliseconds()), 'message', entry[2][2]}
  local bytes = weight(letter)
  if (redis.call('GET', DEAD_BYTES) or 0) + bytes > tonumber(ARGV[3]) then
    give_back(queue, level, id, milliseconds() + ARGV[4])
    return 0
  end
  redis.call('XADD', DEAD, '*', unpack(letter))
  redis.call('INCRBY', DEAD_BYTES, bytes)
end
remove(queue, level, {id})
return 1
