--@ lead(token, holder, lease: number, status) frees
--@ uses server/keys server/clock
-- Be the one autoscale that acts, for `lease` ms from now on; with 0 give that up. `status` (JSON, or empty to
-- leave it) is what it decided: its successor goes on from there. Touches:
--   autoscale  hash  token, name: of the one that acts; until: when that ends, ms; status
-- Returns {the name of another one that acts, or '', the status}.
local seat, now = GM .. 'autoscale', milliseconds()
local held = redis.call('HMGET', seat, 'token', 'name', 'until', 'status')
if held[1] and held[1] ~= token and tonumber(held[3]) > now then return {held[2], held[4] or ''} end
redis.call('HSET', seat, 'token', token, 'name', holder, 'until', now + lease)
if status ~= '' then redis.call('HSET', seat, 'status', status) end
return {'', status ~= '' and status or held[4] or ''}
