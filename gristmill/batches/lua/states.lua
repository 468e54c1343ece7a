--@ states(batches: list, fields: list) reads
--@ uses server/keys server/clock batches/schema batches/silence
-- Some fields of the state of each batch: one call for many, because a client spends more on a call than on its answer.
-- Returns {when a producer was last heard of, ms, that is gone by now, the states: fields and values by turns}.
local wanted, states = {}, {}
for _, field in ipairs(fields) do wanted[field] = true end
for i, batch in ipairs(batches) do
  -- The server goes through such a hash for each field of an HMGET.
  local all, some = redis.call('HGETALL', GM .. 'batch:' .. batch .. ':state'), {}
  for at = 1, #all, 2 do
    if wanted[all[at]] then some[#some + 1], some[#some + 2] = all[at], all[at + 1] end
  end
  states[i] = some
end
return {silence.gone_before(milliseconds(), silence.noted_gap()), states}
