--@ announce(worker, tasks) frees
--@ uses server/keys
-- Say which tasks a worker knows (JSON). Touches announced.
redis.call('HSET', GM .. 'announced', worker, tasks)
