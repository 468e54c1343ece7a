-- Put a message that is due in some ms of the server's time. ARGV: prefix, queue, level, ms, message. Touches later.
redis.call('ZADD', later(ARGV[2]), milliseconds() + ARGV[4], ARGV[3] .. ARGV[5])
