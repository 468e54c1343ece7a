--@ uses server/keys
-- The server's time. It never goes back: where the server's clock is set back, or a replica whose clock is behind takes
-- over, `ahead` grows by that, and shrinks again by half of the time that passes.
--   {prefix}gm1:clock  hash  at: the time of the latest heartbeat or renewal of a lease, µs; ahead: how far that was ahead of the clock, µs
local function server_microseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- The time, and how far it is ahead of the clock.
local function microseconds()
  local clock = redis.call('HMGET', GM .. 'clock', 'at', 'ahead')
  local at, ahead, now = tonumber(clock[1]) or 0, tonumber(clock[2]) or 0, server_microseconds()
  local elapsed = math.max(0, now + ahead - at)
  ahead = math.ceil(math.max(0, at - now, ahead - elapsed / 2))
  return now + ahead, ahead
end

local function milliseconds() return math.floor(microseconds() / 1000) end

-- Note how late it is, so that the time cannot go back behind that.
local function wind_clock()
  local time, ahead = microseconds()
  redis.call('HSET', GM .. 'clock', 'at', string.format('%.0f', time), 'ahead', string.format('%.0f', ahead))
end
