--@ delay(queue, level, wait: number, message)
--@ uses broker/queue server/clock
-- Put a message that is due in `wait` ms of the server's time. Touches later.
redis.call('ZADD', later(queue), milliseconds() + wait, level .. message)
