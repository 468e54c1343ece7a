--@ note_setup(worker, task, error, began: number, ended: number) frees
--@ uses server/keys
-- Say why the setup of a task fails on a worker, or, without an error, that it does not. The attempt lasted from `began`
-- to `ended`, in ms of the worker's clock: the failure of an attempt that began before another process of the worker had
-- succeeded is not news. Touches setup_failures. Returns 1 if what is told of the worker changes.
local stored = redis.call('HGET', GM .. 'setup_failures', worker)
local tasks = stored and cjson.decode(stored) or {}
local last = tasks[task] or {error = '', succeeded = 0}
if error ~= '' and began < last.succeeded then return 0 end
tasks[task] = {error = error, succeeded = error == '' and ended or last.succeeded}
redis.call('HSET', GM .. 'setup_failures', worker, cjson.encode(tasks))
return error ~= last.error and 1 or 0
