--@ ask(worker, fields: list) frees
--@ uses batches/workers
-- Ask something of a worker: `fields` has names and values of asked:{worker} by turns, where an empty value takes it back.
-- The slots of a worker that is to take no messages count no more at once; its next heartbeat shows it what is asked.
-- Touches: asked:{worker}, slots, slots_of.
for i = 1, #fields, 2 do
  if fields[i + 1] == '' then
    redis.call('HDEL', asked_key(worker), fields[i])
  else
    redis.call('HSET', asked_key(worker), fields[i], fields[i + 1])
  end
end
redis.call('PEXPIRE', asked_key(worker), ASKED_KEPT_MS)
local _, is_held = asked_of(worker)
if is_held then count_slots(worker, 0, '') end
