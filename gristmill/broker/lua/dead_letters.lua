-- Requeue or drop the oldest dead letters of a range of ids. ARGV: prefix, 1 to requeue, first id, last id, most letters.
-- Touches dead, dead:bytes; q of their queues. Adds before it removes. Returns how many there were.
local letters = redis.call('XRANGE', DEAD, ARGV[3], ARGV[4], 'COUNT', ARGV[5])
if #letters == 0 then return 0 end
local ids, bytes = {}, 0
for i, letter in ipairs(letters) do
  local fields = {}
  for n = 1, #letter[2], 2 do fields[letter[2][n]] = letter[2][n + 1] end
  if ARGV[2] == '1' then redis.call('XADD', stream(fields.queue, fields.level), '*', 'm', fields.message) end
  ids[i], bytes = letter[1], bytes + weight(letter[2])
end
redis.call('XDEL', DEAD, unpack(ids))
redis.call('DECRBY', DEAD_BYTES, bytes)
return #letters
