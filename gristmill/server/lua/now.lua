--@ now() reads
--@ uses server/clock
-- Returns the server's time, in ms.
return milliseconds()
