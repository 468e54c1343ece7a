--@ move(queue, most: number, bytes: number, suffixes: list) frees
--@ uses broker/queue
-- Move what stock kombu has put on a queue's lists to the queue's streams, oldest first: at most `most` messages, and
-- about `bytes`. `suffixes` are what follows the queue's name in the key of each level's list. Each message is added before
-- the list is cut: a script that breaks off repeats messages, and loses none.
-- Touches those lists, q of the queue. Returns {messages moved, keys of another type}.
local moved, others = 0, {}

local function move(level, key)
  local count = 0
  while moved < most and bytes > 0 do
    local text = redis.call('LINDEX', key, -1 - count)
    if not text then break end
    redis.call('XADD', stream(queue, level), '*', 'm', text)
    moved, count, bytes = moved + 1, count + 1, bytes - #text
  end
  if count > 0 then redis.call('LTRIM', key, 0, -1 - count) end
end

for level, suffix in ipairs(suffixes) do
  local key = PREFIX .. queue .. suffix
  local type = redis.call('TYPE', key).ok
  if type == 'list' then move(level - 1, key) elseif type ~= 'none' then others[#others + 1] = key end
end
return {moved, others}
