--@ wish(worker, actor, fields: list) frees
--@ uses batches/workers server/audit
-- Ask something of a worker: `fields` has names and values of wish:{worker} by turns, where an empty value takes it back.
-- The slots of a worker that is to take no messages count no more at once; its next heartbeat shows it what is asked.
-- Touches: audit, wish:{worker}, slots, slots_of.
local wish = wish_of(worker)
for i = 1, #fields, 2 do
  if fields[i + 1] == '' then
    redis.call('HDEL', wish_key(worker), fields[i])
  else
    redis.call('HSET', wish_key(worker), fields[i], fields[i + 1])
  end
end
redis.call('PEXPIRE', wish_key(worker), WISH_KEPT_MS)
local wanted, is_held = wish_of(worker)
if wanted[1] ~= wish[1] or wanted[2] ~= wish[2] then
  note_action(actor, wanted[1] and 'drain' or 'undrain', 'worker', worker, wanted[2] and 'stop')
end
if is_held then count_slots(worker, 0, '') end
