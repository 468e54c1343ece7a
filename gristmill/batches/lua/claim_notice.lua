--@ claim_notice(token, lease: number) frees
--@ uses batches/notices server/answers
-- Take the notice that has waited longest, to send it before `lease` ms are over: after that another worker takes it.
-- `token` names the call and the claim. Touches: notices, notice:{n}, answer:{token}.
-- Returns {notice, now, {its fields, names and values by turns}}, or false for none.
local LOOK_MOST = 100
local before = answered(token)
if before then return cjson.decode(before) end
local now = milliseconds()
for _, id in ipairs(redis.call('ZRANGE', GM .. 'notices', '-inf', now, 'BYSCORE', 'LIMIT', 0, LOOK_MOST)) do
  if redis.call('EXISTS', notices.key(id)) == 1 then
    redis.call('HSETNX', notices.key(id), 'since', now)
    redis.call('HINCRBY', notices.key(id), 'tries', 1)
    redis.call('HSET', notices.key(id), 'claim', token)
    redis.call('ZADD', GM .. 'notices', now + lease, id)
    local answer = {id, now, redis.call('HGETALL', notices.key(id))}
    remember(token, cjson.encode(answer))
    return answer
  end
  redis.call('ZREM', GM .. 'notices', id)
end
return false
