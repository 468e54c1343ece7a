-- ARGV: prefix, queue. Returns the number of messages on the queue that no worker has taken. Touches the queue.
return waiting(ARGV[2])
