--@ held(consumer, idle: number, queues: list) reads
--@ uses broker/queue server/clock
-- What the server has down as taken by a consumer at least `idle` ms ago. Where its clock was set back, what was taken later is
-- in it too. Touches q of each queue. Returns tags.
local _, ahead = microseconds()
local tags, least = {}, math.max(0, idle - math.floor(ahead / 1000))
for _, queue in ipairs(queues) do
  for each = 0, LEVELS + 1 do
    local level = each <= LEVELS and each or ALARM
    local key = stream(queue, level)
    if redis.call('XLEN', key) > 0 then
      local entries = redis.pcall('XPENDING', key, GROUP, 'IDLE', least, '-', '+', 10000, consumer)
      for _, entry in ipairs(entries.err and {} or entries) do
        tags[#tags + 1] = tag_of(level, entry[1], queue)
      end
    end
  end
end
return tags
