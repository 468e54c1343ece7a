--@ subscribers() reads
--@ uses broker/watchers server/clock
-- Who of the consumers in the watch holds a subscription. Returns {ms of now, consumer, number of its subscriptions, …}.
local PORTION = 500
local answer, names = {milliseconds()}, redis.call('HKEYS', CONSUMERS)

local function count(first, last)
  local channels = {}
  for i = first, last do channels[#channels + 1] = channel_of(names[i]) end
  local counts = redis.call('PUBSUB', 'NUMSUB', unpack(channels))
  for i = first, last do
    answer[#answer + 1] = names[i]
    answer[#answer + 1] = counts[2 * (i - first + 1)]
  end
end

for first = 1, #names, PORTION do count(first, math.min(first + PORTION - 1, #names)) end
return answer
