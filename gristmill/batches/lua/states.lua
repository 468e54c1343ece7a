--@ states(batches: list, fields: list) reads
--@ uses server/keys server/clock batches/schema batches/silence
-- Some fields of the state of each batch: one call for many, because a client spends more on a call than on its answer.
-- Returns {when a producer was last heard of, ms, that is gone by now, the states}.
local states = {}
for i, batch in ipairs(batches) do
  states[i] = redis.call('HMGET', GM .. 'batch:' .. batch .. ':state', unpack(fields))
end
return {silence.gone_before(milliseconds(), silence.noted_gap()), states}
