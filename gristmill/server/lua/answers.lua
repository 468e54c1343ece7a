--@ uses server/keys
-- The answers of calls that change something when they are repeated: a client repeats a call whose answer was lost, with
-- the same token, and gets the first call's answer. A sender of messages has one token, and its answer is how many it put.
--   {prefix}gm1:answer:{token}  string  what the call answered; expires
local ANSWERED_MS = 600000

local function answered(token) return redis.call('GET', GM .. 'answer:' .. token) end

local function remember(token, answer)
  redis.call('SET', GM .. 'answer:' .. token, answer, 'PX', ANSWERED_MS)
  return answer
end
