-- Say which tasks a worker knows. ARGV: prefix, worker, announcements by task (JSON). Touches announced.
redis.call('HSET', GM .. 'announced', ARGV[2], ARGV[3])
