-- Which server this is, and since which start and which promotion, as a text; empty where the user may not ask.
local function run_of_server()
  local info = redis.pcall('INFO', 'server', 'replication')
  if type(info) ~= 'string' then return '' end
  local run, history = string.match(info, 'run_id:(%x+)'), string.match(info, 'master_replid:(%x+)')
  return run and history and run .. '/' .. history or ''
end
