--@ uses batches/blocks batches/flight_counts
-- Appends: what several producers add to an open batch, side by side. Each append has a token of its own. Keys:
--   batch:{b}:appends  hash  token -> how far the append is, as JSON: `position` (items of its input), `added` (those that
--                            were not there before), `sha` (SHA-256 of its input so far), `producer` (who feeds it), `alive`
--                            (until when, ms), `ended`
--   batch:{b}:values   set   digests of the values that the parameter `dedupe_by` has in the batch's items
-- Values that a batch remembers, at most; members that one command adds.
local VALUES_MOST, MEMBERS_AT_ONCE = 1000000, 1000

local function append_of(batch, token)
  local text = redis.call('HGET', key(batch, 'appends'), token)
  return text and cjson.decode(text)
end

local function save_append(batch, token, append)
  redis.call('HSET', key(batch, 'appends'), token, cjson.encode(append))
end

-- An append whose token its producer has made itself: nobody names it again after its end.
local function is_nameless(token) return string.sub(token, 1, 1) == '~' end

-- A block says how far its append was with it.
local function note_append(batch, block)
  if block.append then redis.call('HSET', key(batch, 'appends'), block.append, block.progress) end
end

-- A server that broke off behind a block has it in the stream, and nowhere else: the block says what it belongs to.
local function count_last_block(batch, b)
  local entry = redis.call('XREVRANGE', key(batch, 'in'), '+', '-', 'COUNT', 1)[1]
  local block = entry and block_of(entry)
  if not block or block.after <= b.stored then return end
  redis.call('HSET', key(batch, 'state'), 'stored', block.after)
  count_open(b.queue, b.paused, block.after - b.stored)
  b.stored = block.after
  note_append(batch, block)
end

-- The items of a block (a line each) whose digests in `digests` the batch does not have, these digests, and what of `values`
-- is theirs.
local function new_items(batch, items, digests, values)
  local texts, fresh, limited_by, seen, i = {}, {}, {}, {}, 0
  for text in string.gmatch(items, '[^\n]+') do
    i = i + 1
    local digest = digests[i]
    if not seen[digest] and redis.call('SISMEMBER', key(batch, 'values'), digest) == 0 then
      seen[digest] = true
      texts[#texts + 1], fresh[#fresh + 1] = text, digest
      limited_by[#texts] = string.sub(values, VALUE_BYTES * (i - 1) + 1, VALUE_BYTES * i)
    end
  end
  return texts, fresh, table.concat(limited_by)
end

local function remember_values(batch, digests)
  for i = 1, #digests, MEMBERS_AT_ONCE do
    redis.call('SADD', key(batch, 'values'), unpack(digests, i, math.min(i + MEMBERS_AT_ONCE - 1, #digests)))
  end
end
