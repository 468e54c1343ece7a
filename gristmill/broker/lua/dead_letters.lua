--@ dead_letters(token, first, last, most: number, requeue: flag, actor) frees
--@ uses broker/lease server/answers server/audit
-- Requeue or drop the oldest dead letters of a range of ids. Touches audit, dead, dead:bytes; q of their queues;
-- answer:{token}. It adds before it removes. Returns how many there were.
local before = answered(token)
if before then return tonumber(before) end
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
local named = #ids == 1 and ids[1] or ids[1] .. ' to ' .. ids[#ids]
note_action(actor, requeue and 'requeue' or 'delete', 'dead letter', named, #ids > 1 and #ids .. ' dead letters')
return remember(token, #letters)
