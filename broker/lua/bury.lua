-- Keep a message that the consumer still owns as a dead letter; when there is no room, hand it back, in place, to be
-- taken only later. ARGV: prefix, consumer, most bytes of all dead letters, ms until then, reason, deaths, tag.
-- Touches q, back, suspects of its queue; dead, dead:bytes. Returns 1: kept, 0: handed back, -1: no longer its own.
local queue, level, id = split(ARGV[7])
if not owned(stream(queue, level), id, ARGV[2]) then return -1 end
if bury(queue, level, id, ARGV[5], ARGV[6], ARGV[2], tonumber(ARGV[3])) then return 1 end
give_back(queue, level, id, milliseconds() + ARGV[4])
return 0
