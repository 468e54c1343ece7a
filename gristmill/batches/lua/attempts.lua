-- How often items were tried.
--   batch:{b}:attempts  hash  index -> attempts that failed so far, and /n behind: n of them before its last retry
--   batch:{b}:retry     zset  index -> when its next attempt is due, ms

-- How often an item has failed so far, and how many of those were before `retry` last gave it back.
local function tries(attempts)
  if not attempts then return 0, 0 end
  local all, before = string.match(attempts, '^(%d+)/?(%d*)$')
  return tonumber(all), tonumber(before) or 0
end

-- What `attempts` holds of an item that has failed `all` times, `before` of them before its last retry.
local function tries_text(all, before) return before > 0 and all .. '/' .. before or all end
