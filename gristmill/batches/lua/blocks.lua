--@ uses batches/ledger
-- Blocks: the stored items of a batch.

-- A block, an entry of the stream `in`, with its fields: the index of its first item and the one behind its last, its
-- items (a line each), when it was stored (ms), and its id.
local function block_of(entry)
  local block = {id = entry[1], after = tonumber(string.match(entry[1], '^%d+'))}
  for i = 1, #entry[2], 2 do block[entry[2][i]] = entry[2][i + 1] end
  block.first, block.at = tonumber(block.first), tonumber(block.at)
  return block
end

-- The block that has the item `index`, or else the first block behind it; nil when there is none.
local function block_with(batch, index)
  local entry = redis.call('XRANGE', key(batch, 'in'), index + 1, '+', 'COUNT', 1)[1]
  return entry and block_of(entry)
end
