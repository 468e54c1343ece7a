-- Say which tasks a worker knows. ARGV: prefix, worker, fingerprints by name (JSON). Touches announced.
redis.call('HSET', GM .. 'announced', ARGV[2], ARGV[3])
