--@ delay(queue, level, wait: number, message)
--@ uses broker/expiry
-- Put a message that is due in `wait` ms of the server's time. Touches later; q, back, suspects of a queue
-- that expires.
redis.call('ZADD', later(queue), milliseconds() + wait, level .. message)
keep(queue)
