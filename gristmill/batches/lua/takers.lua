--@ uses batches/ledger
-- Batches whose items are the values of another one, seen from that one. See sources.lua.
--   batch:{b}:takers  hash  batch that takes its items from {b} -> when that was created, ms
--   state field  has_takers  whether the hash is there
local takers = {}
do
  -- Items that a taker has without an outcome, at most, about, and bytes of those: then its source is held, until half of them
  -- have one.
  local LEFT_MOST, LEFT_BYTES = 50000, 67108864
  takers.COUNTERS = {'stored', 'succeeded', 'failed', 'cancelled', 'dead', 'bytes'}

  -- Whether a taker has enough items, of which `part` may be left. One that waits may wait for its source.
  function takers.is_full(b, part)
    local left = left_of(b)
    return not b.waiting and (left > LEFT_MOST * part or left * b.bytes > LEFT_BYTES * part * math.max(b.stored, 1))
  end

  function takers.of(batch)
    local all, entries = {}, redis.call('HGETALL', key(batch, 'takers'))
    for i = 1, #entries, 2 do
      local b = state(entries[i], {'created', 'from_batch', 'input_ended', 'waiting', 'behind'}, takers.COUNTERS)
      if b.created == entries[i + 1] and not b.input_ended then all[#all + 1] = {entries[i], b} end
    end
    return all
  end

  -- What holds a batch up: a taker that has enough items.
  function takers.holder(batch, b)
    if not b.has_takers then return nil end
    local part = string.find(b.held_by or '', '^batch ') and 0.5 or 1
    for _, taker in ipairs(takers.of(batch)) do
      if takers.is_full(taker[2], part) then return 'batch ' .. taker[1] end
    end
  end

  -- The first batch that takes items from this one: of all that will, or of those that have not taken what is recorded.
  function takers.needed_by(batch, now_only)
    for _, taker in ipairs(takers.of(batch)) do
      if taker[2].behind or not now_only then return taker[1] end
    end
  end
end
