--@ add(batch, token, producer, lease: number, position: number, count: number, sha, rejected: number, last: flag, items, values, digests: list)
--@ uses batches/closing batches/appends server/answers
-- Store the next block of an append: `count` items (a line each) from its `position` on; `sha` is the SHA-256 of all its
-- items so far, `values` what they are limited by, see flight_counts.lua. Where the batch is deduplicated, `digests` has one
-- for each item, and only those that are new are stored.
-- With `last` the append ends; `rejected` is the number of bad inputs. Repeating it changes nothing.
-- Touches: batch:{b}:state, :in, :appends, :values, :limit_values, closing, answer:{producer}, and what release touches.
-- Returns {status, how many items the append has added}: 'stored', 'closed', 'cancelled', 'full' (more values than a batch
-- remembers), or 'lost' when the batch is gone, or the append is another producer's.
local before = answered(producer)
if before then return cjson.decode(before) end
local now = milliseconds()
local b = state(batch, {'queue', 'input_ended', 'input_cut', 'paused', 'dedupe_by', 'close_after'}, {'stored'})
if not b.queue then return {'lost', 0} end
count_last_block(batch, b)
local append = append_of(batch, token)
if not append or append.producer ~= producer then return {'lost', 0} end

-- The block, with what it leaves the append as: see count_last_block.
local function store()
  local texts, fresh, limited_by = items, {}, values
  local number = count
  if b.dedupe_by then
    local new
    new, fresh, limited_by = new_items(batch, items, digests, values)
    if redis.call('SCARD', key(batch, 'values')) + #fresh > VALUES_MOST then return 'full' end
    texts, number = table.concat(new, '\n'), #new
  end
  append.position, append.sha, append.added = position + count, sha, append.added + number
  if number == 0 then return end
  local after = b.stored + number
  keep_values(key(batch, 'limit_values'), b.stored, limited_by)
  redis.call('XADD', key(batch, 'in'), string.format('%d-0', after), 'first', b.stored, 'sha', '', 'items', texts, 'at', now,
    'append', token, 'progress', cjson.encode(append))
  redis.call('HSET', key(batch, 'state'), 'stored', after)
  redis.call('HINCRBY', key(batch, 'state'), 'bytes', #texts)
  count_open(b.queue, b.paused, number)
  remember_values(batch, fresh)
end

if count > 0 and not (append.position == position + count and append.sha == sha) then
  if b.input_cut then return {'cancelled', append.added} end
  if b.input_ended then return {'closed', append.added} end
  if append.position ~= position then return {'lost', 0} end
  local refused = store()
  if refused then return {refused, append.added} end
end
append.alive = now + lease
if not b.input_ended then postpone_closing(batch, b.close_after, now) end
local answer = {'stored', append.added}
if last then
  append.ended = 1
  redis.call('HINCRBY', key(batch, 'state'), 'rejected', rejected)
  remember(producer, cjson.encode(answer))
end
save_append(batch, token, append)
if last and is_nameless(token) then redis.call('HDEL', key(batch, 'appends'), token) end
release(batch, now)
return answer
