--@ held(consumer, idle: number, queues: list) reads
--@ uses broker/queue
-- What the server has down as taken by a consumer at least `idle` ms ago. Touches q of each queue. Returns tags.
local tags = {}
for _, queue in ipairs(queues) do
  for level = 0, LEVELS do
    local key = stream(queue, level)
    if redis.call('XLEN', key) > 0 then
      local entries = redis.pcall('XPENDING', key, GROUP, 'IDLE', idle, '-', '+', 10000, consumer)
      for _, entry in ipairs(entries.err and {} or entries) do
        tags[#tags + 1] = tag_of(level, entry[1], queue)
      end
    end
  end
end
return tags
