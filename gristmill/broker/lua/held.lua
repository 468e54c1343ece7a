-- What the server has down as taken by a consumer at least some ms ago. ARGV: prefix, consumer, ms, queues…
-- Touches q of each queue. Returns tags.
local tags = {}
for i = 4, #ARGV do
  for level = 0, LEVELS do
    local key = stream(ARGV[i], level)
    if redis.call('XLEN', key) > 0 then
      local found = redis.pcall('XPENDING', key, GROUP, 'IDLE', ARGV[3], '-', '+', 10000, ARGV[2])
      for _, entry in ipairs(found.err and {} or found) do
        tags[#tags + 1] = level .. '/' .. entry[1] .. '/' .. ARGV[i]
      end
    end
  end
end
return tags
