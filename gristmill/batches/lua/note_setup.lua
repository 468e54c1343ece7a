--@ note_setup(worker, task, error) frees
--@ uses server/keys
-- Say why the setup of a task fails on a worker, or, without an error, that it does not. Touches setup_failures.
-- Returns 1 if that is new.
local stored = redis.call('HGET', GM .. 'setup_failures', worker)
local failures = stored and cjson.decode(stored) or {}
if (failures[task] or '') == error then return 0 end
failures[task] = error ~= '' and error or nil
if next(failures) then
  redis.call('HSET', GM .. 'setup_failures', worker, cjson.encode(failures))
else
  redis.call('HDEL', GM .. 'setup_failures', worker)
end
return 1
