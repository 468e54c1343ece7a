--@ leave(worker) frees
--@ uses batches/upkeep
-- A worker has ended. Touches: workers, heartbeats, announced, setup_failures, items, slots, slots_of,
-- meters:of:{worker}, kill:{worker}, busy:{worker}, asked:{worker}.
remove_worker(worker)
redis.call('DEL', asked_key(worker))
