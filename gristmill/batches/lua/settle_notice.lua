--@ settle_notice(notice, claim, outcome, error, pause: number, most: number) frees
--@ uses batches/notices
-- Note what became of a try to send a notice: `delivered`, `failed` for good, or `pending`, with the next try in `pause` ms,
-- unless the first one was `most` ms ago or longer: then it has failed too. A delivery counts whichever worker holds the claim.
-- Repeating it changes nothing.
-- Touches: notices, notice:{n}, notices_failed, batch:{b}:state.
-- Returns the outcome, or 'lost' when another worker has the notice by now, or it is gone.
local FAILED_MS = 86400000
local now = milliseconds()
local n = redis.call('HMGET', notices.key(notice), 'claim', 'batch', 'created', 'event', 'tries', 'since')
if not n[2] or outcome ~= 'delivered' and n[1] ~= claim then return 'lost' end
if outcome == 'pending' and now - tonumber(n[6]) >= most then outcome = 'failed' end
local entry = {id = notice, event = n[4], state = outcome, at = now, tries = tonumber(n[5])}
if error ~= '' then entry.error = error end
notices.show(n[2], n[3], entry)
redis.call('HSET', notices.key(notice), 'error', error)
if outcome == 'pending' then
  redis.call('ZADD', GM .. 'notices', now + pause, notice)
  return outcome
end
if outcome == 'delivered' then
  redis.call('DEL', notices.key(notice))
else
  redis.call('ZREMRANGEBYSCORE', GM .. 'notices_failed', '-inf', now - FAILED_MS)
  redis.call('ZADD', GM .. 'notices_failed', now, notice)
  redis.call('PEXPIRE', notices.key(notice), FAILED_MS)
end
redis.call('ZREM', GM .. 'notices', notice)
return outcome
