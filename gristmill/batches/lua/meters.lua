--@ meters() frees
--@ uses batches/samples
-- Once a second: sample the queues and machines, for a process that runs no items. A worker does it with its heartbeat.
-- Touches what samples.lua and upkeep touch. Returns the time, ms.
local now = milliseconds()
if begin_second(now) then
  upkeep(now)
  sample_second(now)
end
return now
