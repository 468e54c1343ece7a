--@ size(queue) reads
--@ uses broker/queue
-- Returns the number of messages on the queue that no worker has taken. Touches q, back.
return waiting(queue)
