--@ uses batches/ledger
-- What items wrote: the end of it, which `record` keeps in the step that records the outcome, up to a number of bytes for
-- each batch.
--   batch:{b}:logs  hash  index -> text
--   state fields    log_bytes: of all these texts; logs_lost: texts for which there was no room
-- `record` gets indexes and texts by turns.
local function logs_of(flat)
  local log_of = {}
  for i = 1, #flat, 2 do log_of[tonumber(flat[i])] = flat[i + 1] end
  return log_of
end

-- Note in `logged` the items of a recorded group that wrote something, or may have the log of an earlier attempt.
local function note_logs(logged, group, log_of)
  if group.attempt == 1 and next(log_of) == nil then return end
  for index = group.first, group.first + group.count - 1 do
    if group.attempt > 1 or log_of[index] then logged[#logged + 1] = index end
  end
end

local function count_log_bytes(batch, bytes)
  if bytes ~= 0 then redis.call('HINCRBY', key(batch, 'state'), 'log_bytes', bytes) end
end

-- Drop the logs of some items.
local function drop_logs(batch, indexes)
  local name, bytes = key(batch, 'logs'), 0
  if #indexes == 0 or redis.call('EXISTS', name) == 0 then return end
  for _, text in pairs(redis.call('HMGET', name, unpack(indexes))) do bytes = bytes - #(text or '') end
  if bytes < 0 then redis.call('HDEL', name, unpack(indexes)) end
  count_log_bytes(batch, bytes)
end

-- Keep the logs of the items `logged`, in place of those of their earlier attempts.
local function keep_logs(batch, logged, log_of, room)
  if #logged == 0 then return end
  drop_logs(batch, logged)
  local before = tonumber(redis.call('HGET', key(batch, 'state'), 'log_bytes') or 0)
  local bytes, lost = before, 0
  for _, index in ipairs(logged) do
    local text = log_of[index]
    if text and bytes + #text <= room then
      redis.call('HSET', key(batch, 'logs'), index, text)
      bytes = bytes + #text
    elseif text then
      lost = lost + 1
    end
  end
  count_log_bytes(batch, bytes - before)
  if lost > 0 then redis.call('HINCRBY', key(batch, 'state'), 'logs_lost', lost) end
end
