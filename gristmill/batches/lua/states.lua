--@ states(batches: list, fields: list) reads
--@ uses server/keys server/clock
-- Some fields of the state of each batch: one call for many, because a client spends more on a call than on its answer.
local states = {}
for i, batch in ipairs(batches) do
  states[i] = redis.call('HMGET', GM .. 'batch:' .. batch .. ':state', unpack(fields))
end
return {milliseconds(), states}
