--@ uses batches/ledger
-- The slowest items of a batch that have ended.
--   batch:{b}:slowest  zset  index -> seconds that its last attempt ran; SLOWEST of them
local SLOWEST = 10

-- Note those of `slow`, index and seconds by turns, that ended in the recorded `groups`. Returns, as text, the seconds that
-- an item has to exceed to be noted.
local function note_slowest(batch, slow, groups)
  local name, noted = key(batch, 'slowest'), {}
  for i = 1, #slow, 2 do
    local index = tonumber(slow[i])
    for _, group in ipairs(groups) do
      if group.first <= index and index < group.first + group.count then
        noted[#noted + 1], noted[#noted + 2] = slow[i + 1], index
      end
    end
  end
  if #noted > 0 then redis.call('ZADD', name, unpack(noted)) end
  local number = redis.call('ZCARD', name)
  if number < SLOWEST then return '0' end
  if number > SLOWEST then redis.call('ZPOPMIN', name, number - SLOWEST) end
  return redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')[2]
end

-- Drop those that are to run again.
local function drop_slowest(batch)
  for _, index in ipairs(redis.call('ZRANGE', key(batch, 'slowest'), 0, -1)) do
    if redis.call('GETBIT', key(batch, 'done'), index) == 0 then redis.call('ZREM', key(batch, 'slowest'), index) end
  end
end
