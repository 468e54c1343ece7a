--@ expire(queue, expires: number) frees
--@ uses broker/expiry
-- Have a queue expire `expires` ms after its last use, which is now. Touches expires, expiry_looks; q, back, suspects of
-- the queue.
redis.call('HSET', EXPIRES, queue, expires)
redis.call('ZADD', LOOKS, 'NX', milliseconds(), queue)
keep(queue)
