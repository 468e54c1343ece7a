--@ leave(worker) frees
--@ uses batches/upkeep
-- A worker has ended. Touches: workers, heartbeats, announced, setup_failures, items, slots, slots_of,
-- meters:of:{worker}, kill:{worker}, busy:{worker}.
remove_worker(worker)
