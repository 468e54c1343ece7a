--@ bury(consumer, limit: number, wait: number, reason, deaths, tag) frees
--@ uses broker/burial
-- Make a message that the consumer still owns a dead letter, if all dead letters then take at most `limit` bytes; else hand
-- it back, to be taken after `wait` ms.
-- Touches q, back, suspects, unknown_tasks of its queue; dead, dead:bytes.
-- Returns 1: kept, 0: handed back, -1: no longer its own.
local queue, level, id = split_tag(tag)
if not owned(stream(queue, level), id, consumer) then return -1 end
return bury(queue, level, id, consumer, reason, deaths, limit, wait)
