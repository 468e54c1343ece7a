--@ uses server/keys
-- Who did what: `actor` is by what, a space, and who; empty where nobody asks for it. Key:
--   {prefix}gm1:audit  stream  by via action kind name detail, the last ones
local AUDIT_MOST = 10000

local function note_action(actor, action, kind, name, detail)
  local via, by = string.match(actor, '^(%S+) (.*)$')
  if not via then return end
  redis.call('XADD', GM .. 'audit', 'MAXLEN', '~', AUDIT_MOST, '*',
    'by', by, 'via', via, 'action', action, 'kind', kind, 'name', name, 'detail', detail or '')
end
