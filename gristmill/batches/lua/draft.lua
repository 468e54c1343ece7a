--@ draft(token, after: number, first: number, sha, items, values)
--@ uses batches/schedules batches/blocks
-- Store a block of the items of a schedule that is being made, first to after-1 (a line each); without items, keep what is
-- stored. Repeating it changes nothing. A run's items wait from the time of the run, so the block has no time of its own.
-- `values` has what the items are limited by, see flight_counts.lua. Touches: draft:{token}, draft:{token}:limit_values.
-- Returns 'stored', or 'lost' when the block before it is not there.
local DRAFT_MS = 600000
local entry = redis.call('XREVRANGE', draft_key(token), '+', '-', 'COUNT', 1)[1]
local stored = entry and block_of(entry).after or 0
if items ~= '' and stored ~= after then
  if stored ~= first then return 'lost' end
  keep_values(draft_key(token) .. ':limit_values', first, values)
  redis.call('XADD', draft_key(token), string.format('%d-0', after), 'first', first, 'sha', sha, 'items', items)
end
redis.call('PEXPIRE', draft_key(token), DRAFT_MS)
redis.call('PEXPIRE', draft_key(token) .. ':limit_values', DRAFT_MS)
return 'stored'
