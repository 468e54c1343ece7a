--@ leave(worker) frees
--@ uses batches/ledger batches/workers
-- A worker has ended. Touches: workers, heartbeats, announced, setup_failures, items, slots, slots_of,
-- meters:of:{worker}, kill:{worker}, busy:{worker}, wish:{worker}, worker_events.
if redis.call('ZSCORE', GM .. 'workers', worker) then note_event('end', worker, milliseconds()) end
remove_worker(worker)
redis.call('DEL', wish_key(worker))
