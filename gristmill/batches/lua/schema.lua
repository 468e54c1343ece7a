--@ uses server/keys
-- Batches that another version has written are in another form. One that has deleted all of its own leaves its number.
local SCHEMA = 2
local schema = tonumber(redis.call('GET', GM .. 'schema') or SCHEMA)
if schema ~= SCHEMA and redis.call('EXISTS', GM .. 'batches') == 1 then return redis.error_reply('SCHEMA ' .. schema) end
