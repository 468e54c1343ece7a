--@ uses batches/takers batches/links batches/blocks
-- A batch whose items are the values of another one, its source. A taker follows the events of its source, and its place
-- among them moves in the step that stores the items: each value becomes an item once. The items are its own, so the source
-- may be consumed, expire and be deleted once it has taken them.
--   state fields  from_batch    the source          from_states   the states of its items that are taken, with commas between
--                 flatten       whether a list is as many items as it has elements
--                 source_event  the last event of the source that was taken
--                 source_place  how far the event behind that was taken, see new_basket; empty where not at all
--                 behind        whether there are more
-- An item of the source that succeeded gives its value, and another one its own item. A value in a file is a line that begins
-- with a blank, with the reference: no other line of items does.
local sources = {}
do
  -- Items that one call stores, and items and bytes of a block; marks of lists that one call reads: no script may occupy the
  -- server for long.
  local CALL_ITEMS, BLOCK_ITEMS, BLOCK_BYTES, CALL_MARKS = 20000, 4000, 65536, 2000
  local marks_left = CALL_MARKS

  -- Items on their way into a taker, which `store` puts into blocks. `place` says from where on a call goes on in the event
  -- behind `source_event`: with the item `index` of the source, and in its list at the byte `at`, in an element that began at
  -- `start`, `depth` lists and objects deep, perhaps in a string.
  local function new_basket(batch, b)
    local index, at, start, depth, quoted = string.match(b.source_place or '', '^(%d+):(%d+):(%d+):(%d+):(%d)$')
    return {batch = batch, b = b, lines = {}, count = 0, bytes = 0, items = 0, index = tonumber(index) or 0,
      scan = index and {at = tonumber(at), start = tonumber(start), depth = tonumber(depth), quoted = quoted == '1'}}
  end

  local function place_text(index, scan)
    return string.format('%d:%d:%d:%d:%d', index, scan.at, scan.start, scan.depth, scan.quoted and 1 or 0)
  end

  local function new_scan() return {at = 2, start = 2, depth = 0, quoted = false} end

  -- Put what is in the basket into a block, which says from where on the next one goes on.
  local function store(basket, now, place)
    if basket.count == 0 then return end
    local b, text = basket.b, table.concat(basket.lines, '\n')
    local after = b.stored + basket.count
    redis.call('XADD', key(basket.batch, 'in'), string.format('%d-0', after),
      'first', b.stored, 'sha', '', 'items', text, 'at', now, 'event', b.source_event, 'place', place)
    redis.call('HINCRBY', key(basket.batch, 'state'), 'bytes', #text)
    -- In one command: items that count and an event that does not would come twice where a crash cuts this in half.
    redis.call('HSET', key(basket.batch, 'state'), 'stored', after, 'source_event', b.source_event, 'source_place', place)
    count_open(b.queue, b.paused or b.waiting, basket.count)
    b.stored, b.bytes, basket.items = after, b.bytes + #text, basket.items + basket.count
    basket.lines, basket.count, basket.bytes = {}, 0, 0
  end

  -- Add the next `count` items (a line each), up to the item `index` of the source, or the place of `scan` in its list.
  local function add(basket, text, count, now, index, scan)
    basket.lines[#basket.lines + 1] = text
    basket.count, basket.bytes = basket.count + count, basket.bytes + #text
    if basket.count >= BLOCK_ITEMS or basket.bytes >= BLOCK_BYTES then
      store(basket, now, place_text(index, scan or new_scan()))
    end
  end

  -- Add the elements of a JSON list, from `scan` on; returns whether that was all of them.
  local function add_elements(basket, text, now, index, scan)
    while marks_left > 0 do
      marks_left = marks_left - 1
      local marks = scan.quoted and '["\\]' or scan.depth > 0 and '["%[%]{}]' or '["%[%]{},]'
      local place = string.find(text, marks, scan.at)
      local mark = string.sub(text, place, place)
      scan.at = place + 1
      if scan.quoted then
        if mark == '"' then scan.quoted = false else scan.at = place + 2 end
      elseif mark == '"' then scan.quoted = true
      elseif mark == '[' or mark == '{' then scan.depth = scan.depth + 1
      elseif scan.depth > 0 then scan.depth = scan.depth - 1
      else
        local first, last = string.find(text, '%S', scan.start), place - 1
        while string.find(text, '^%s', last) do last = last - 1 end
        scan.start = scan.at
        if first <= last then add(basket, string.sub(text, first, last), 1, now, index, scan) end
        if mark == ']' then return true end
      end
    end
    return false
  end

  -- Add the value of one item of the source, or what is left of it.
  local function add_value(basket, value, now, index)
    if basket.b.flatten and string.byte(value) == 91 then
      local scan = basket.index == index and basket.scan or new_scan()
      if not add_elements(basket, value, now, index, scan) then
        basket.stopped = place_text(index, scan)
        return
      end
    else
      add(basket, value, 1, now, index + 1)
    end
    basket.scan = nil
  end

  -- The item of the source, as it is stored.
  local function item_of(basket, index)
    local source, known = basket.b.from_batch, basket.block
    if not known or index < known.first or index >= known.after then
      local block = block_with(source, index)
      if not block or block.first > index then return redis.call('HGET', key(source, 'retained_inputs'), index) end
      known = {first = block.first, after = block.after, items = {}}
      for item in string.gmatch(block.items, '[^\n]+') do known.items[#known.items + 1] = item end
      basket.block = known
    end
    return known.items[index - known.first + 1]
  end

  -- Take what is in one field of outcomes, as far as its items are first to last: those of the attempt, or one before it,
  -- that still have that outcome.
  local function take_field(basket, field, text, first, last, attempt, now)
    local begin, span = string.match(field, '^(%d+):?(%d*)$')
    begin, span = tonumber(begin), tonumber(span) or 1
    if begin > last or begin + span <= first then return end
    local source, b = basket.b.from_batch, basket.b
    local header, values = string.match(text, '^([^\n]*)\n(.*)$')
    local outcome, tries = string.match(header, '"state": ?"(%a+)"'), tonumber(string.match(header, '"attempts": ?(%d+)'))
    if tries > attempt or not string.find(',' .. b.from_states .. ',', ',' .. outcome .. ',', 1, true) then return end
    local in_file = string.find(header, '"file": ?true') ~= nil
    local done = redis.call('BITCOUNT', key(source, 'done'), begin, begin + span - 1, 'BIT')
    local cancelled = redis.call('BITCOUNT', key(source, 'cancelled'), begin, begin + span - 1, 'BIT')
    local whole = begin >= first and begin + span - 1 <= last and done == span and cancelled == 0
    if whole and outcome == 'succeeded' and not in_file and not b.flatten then
      add(basket, values, span, now, begin + span)
      return
    end
    local index = begin
    for value in string.gmatch(values, '[^\n]+') do
      if basket.stopped then return end
      if index >= first and index <= last and redis.call('GETBIT', key(source, 'done'), index) == 1
        and redis.call('GETBIT', key(source, 'cancelled'), index) == 0 then
        if outcome ~= 'succeeded' then value = item_of(basket, index) or 'null' end
        if in_file and outcome == 'succeeded' then value = ' ' .. value end
        add_value(basket, value, now, index)
      end
      index = index + 1
    end
  end

  -- Take an event's range of items, bucket by bucket.
  local function take_range(basket, first, last, attempt, now)
    first = math.max(first, basket.index)
    while first <= last and not basket.stopped do
      local upto = math.min(last, first - first % BUCKET + BUCKET - 1)
      local out = key(basket.b.from_batch, 'out:' .. math.floor(first / BUCKET))
      local field = upto > first and first .. ':' .. upto - first + 1 or tostring(first)
      local text = redis.call('HGET', out, field)
      if text then
        take_field(basket, field, text, first, upto, attempt, now)
      else
        local fields = {}
        for _, name in ipairs(redis.call('HKEYS', out)) do
          local begin, span = string.match(name, '^(%d+):?(%d*)$')
          begin, span = tonumber(begin), tonumber(span) or 1
          if begin <= upto and begin + span > first then fields[#fields + 1] = {begin, name} end
        end
        table.sort(fields, function(one, other) return one[1] < other[1] end)
        for _, each in ipairs(fields) do
          take_field(basket, each[2], redis.call('HGET', out, each[2]), first, upto, attempt, now)
        end
      end
      first = upto + 1
    end
  end

  -- Take an event, or as much of it as the call lets.
  local function take_event(basket, entry, now)
    for range in string.gmatch(entry[2][2], '[^,]+') do
      local first, last, attempt = string.match(range, '^(%d+)-(%d+)@?(%d*)$')
      take_range(basket, tonumber(first), tonumber(last), tonumber(attempt) or 1, now)
    end
    local place = basket.stopped or ''
    if not basket.stopped then basket.b.source_event, basket.index = entry[1], 0 end
    store(basket, now, place)
    redis.call('HSET', key(basket.batch, 'state'), 'source_event', basket.b.source_event, 'source_place', place)
  end

  -- The input of a taker ends with its source.
  local function end_input(batch, source, now)
    redis.call('HSET', key(batch, 'state'), 'input_ended', now, 'input_ended_by', 'source', 'rejected', 0)
    redis.call('HDEL', key(batch, 'state'), 'behind')
    links.heed_halt(batch, now)
    links.heed_unmet(batch, now)
    links.finish(batch, now)
    -- It may expire now.
    look_by(source, now)
  end

  -- Store the items that a taker may have now; then hand out. The last ones come with the end of the source.
  function sources.take(batch, now)
    local b = state(batch, {'from_batch', 'from_states', 'flatten', 'source_event', 'source_place', 'input_ended', 'queue', 'paused', 'waiting',
      'behind'}, takers.COUNTERS)
    if not b.from_batch or b.input_ended then return end
    -- A block that does not count: a crash has cut off the call that stored it. Mending the taker counts it first.
    if #redis.call('XRANGE', key(batch, 'in'), b.stored + 1, '+', 'COUNT', 1) > 0 then return end
    local basket, more = new_basket(batch, b), true
    while more and not basket.stopped and marks_left > 0 and basket.items < CALL_ITEMS and not takers.is_full(b, 1) do
      local entry = redis.call('XRANGE', key(b.from_batch, 'events'), '(' .. b.source_event, '+', 'COUNT', 1)[1]
      if entry then take_event(basket, entry, now) else more = false end
    end
    if more and not b.behind then redis.call('HSET', key(batch, 'state'), 'behind', 1) end
    if b.behind and not more then redis.call('HDEL', key(batch, 'state'), 'behind') end
    if more and not takers.is_full(b, 1) then look_by(batch, now) end
    if basket.items > 0 then release(batch, now) end
    if not more and redis.call('HEXISTS', key(b.from_batch, 'state'), 'finished') == 1 then
      end_input(batch, b.from_batch, now)
    end
  end

  -- Have the takers of a batch take what was recorded. Returns whether none of them needs it any more.
  function sources.tell(batch, now)
    for _, taker in ipairs(takers.of(batch)) do sources.take(taker[1], now) end
    return #takers.of(batch) == 0
  end

  -- A taker has recorded items: it may have room for more, and its source may go on.
  function sources.go_on(batch, source, now)
    local b = state(batch, {'behind', 'waiting'}, takers.COUNTERS)
    if takers.is_full(b, 0.5) then return end
    if b.behind then sources.take(batch, now) end
    if string.find(redis.call('HGET', key(source, 'state'), 'held_by') or '', '^batch ') then release(source, now) end
  end

  -- A source that has ended stays until all is taken.
  local function keep(source)
    if redis.call('PTTL', key(source, 'state')) < 0 then return end
    redis.call('ZREM', GM .. 'expiring', source)
    for _, name in ipairs(links.keys_of(source, state(source, {}, {'stored'}).stored)) do redis.call('PERSIST', name) end
  end

  -- A batch takes the values of another one from now on, those that are recorded already first.
  function sources.add(batch, created, source)
    redis.call('HSET', key(source, 'state'), 'has_takers', 1)
    redis.call('HSET', key(source, 'takers'), batch, created)
    keep(source)
    sources.take(batch, created)
  end

  -- A taker takes no more: its source need not wait for it.
  function sources.let_go(source, now)
    if source and redis.call('EXISTS', key(source, 'state')) == 1 then look_by(source, now) end
  end

  -- A taker is no more.
  function sources.remove(batch, source, now)
    if source then redis.call('HDEL', key(source, 'takers'), batch) end
    sources.let_go(source, now)
  end

  -- Whether the source of a taker whose input has ended goes on, or has recorded something since.
  function sources.has_more(batch)
    local b = state(batch, {'created', 'from_batch', 'input_ended', 'source_event'}, {})
    if not b.from_batch or not b.input_ended then return false end
    if redis.call('HGET', key(b.from_batch, 'takers'), batch) ~= b.created then return false end
    if redis.call('HEXISTS', key(b.from_batch, 'state'), 'finished') == 0 then return true end
    return #redis.call('XRANGE', key(b.from_batch, 'events'), '(' .. b.source_event, '+', 'COUNT', 1) > 0
  end

  -- Whether a taker lacks the end of its source, and perhaps what came before: the call that tells of it broke off.
  function sources.is_untold(b)
    return b.from_batch and not (b.input_ended or b.behind or b.finished)
      and redis.call('HEXISTS', key(b.from_batch, 'state'), 'finished') == 1
  end

  -- A taker goes on taking: what its source has recorded since, and what it will record.
  function sources.go_on_taking(batch, now)
    local b = state(batch, {'from_batch', 'superseded'}, {})
    redis.call('HDEL', key(batch, 'state'), 'input_ended', 'input_ended_by')
    links.catch_up(batch, b.superseded, b.from_batch)
    keep(b.from_batch)
    sources.take(batch, now)
  end
end
