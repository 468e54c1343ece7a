--@ dead_letters(first, last, most: number, requeue: flag) frees
--@ uses broker/lease
-- Requeue or drop the oldest dead letters of a range of ids. Touches dead, dead:bytes; q of their queues. It adds before
-- it removes. Returns how many there were.
local letters = redis.call('XRANGE', DEAD, first, last, 'COUNT', most)
if #letters == 0 then return 0 end
local ids, bytes = {}, 0
for i, letter in ipairs(letters) do
  local fields = fields_of(letter)
  if requeue then redis.call('XADD', stream(fields.queue, fields.level), '*', 'm', fields.message) end
  ids[i], bytes = letter[1], bytes + weight(letter[2])
end
redis.call('XDEL', DEAD, unpack(ids))
redis.call('DECRBY', DEAD_BYTES, bytes)
return #letters
