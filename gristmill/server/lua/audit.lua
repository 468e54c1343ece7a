--@ uses server/keys
-- The log of actions. `actor` is how somebody acts (command, dashboard, Python), a space, and who; empty: nothing is logged. Key:
--   {prefix}gm1:audit  stream  by via action kind name detail, the last ones
local AUDIT_MOST = 10000

local function note_action(actor, action, kind, name, detail)
  local via, by = string.match(actor, '^(%S+) (.*)$')
  if not via then return end
  redis.call('XADD', GM .. 'audit', 'MAXLEN', '~', AUDIT_MOST, '*',
    'by', by, 'via', via, 'action', action, 'kind', kind, 'name', name, 'detail', detail or '')
end
