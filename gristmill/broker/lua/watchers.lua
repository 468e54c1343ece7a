--@ uses server/keys
-- Who watches over the fleet.
--   {prefix}gm1:consumers  hash  consumer in the watch -> JSON: worker, queues, problem, run (see enlist.lua)
--   {prefix}gm1:watchers   zset  consumer that watches the others -> when it last said so, ms
-- A consumer in the watch subscribes to the channel {prefix}gm1:alive:{consumer}.
local CONSUMERS, WATCHERS = GM .. 'consumers', GM .. 'watchers'
local SEATS, SEAT_MS = 3, 3000

local function channel_of(consumer) return GM .. 'alive:' .. consumer end

-- Whether fewer watch than could: nobody has to watch a worker that is alone.
local function has_seat(now)
  local workers = redis.call('HLEN', CONSUMERS)
  return workers > 1 and redis.call('ZCOUNT', WATCHERS, now - SEAT_MS, '+inf') < math.min(SEATS, workers)
end
