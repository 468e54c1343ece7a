--@ listen(batch, after) frees
--@ uses batches/lines
-- Listen to what the items of a batch write, for LISTENERS_MS from now on. Whether it is there
-- does not matter. Touches: batch:{b}:listeners, batch:{b}:lines. Returns the id of the last entry behind `after`, and the fields of those entries.
redis.call('SET', key(batch, 'listeners'), 1, 'PX', LISTENERS_MS)
local entries, texts = redis.call('XRANGE', key(batch, 'lines'), '(' .. after, '+', 'COUNT', 100), {}
for i, entry in ipairs(entries) do after, texts[i] = entry[1], entry[2] end
return {after, texts}
