--@ witnessed() reads
--@ uses broker/watchers server/run
-- The consumers in the watch that have had a subscription on this run of the server: one that has none now has lost it
-- since. Returns none where the user may not ask which run it is.
local run, found = run_of_server(), {}
if run == '' then return found end
for _, consumer in ipairs(redis.call('HKEYS', CONSUMERS)) do
  if cjson.decode(redis.call('HGET', CONSUMERS, consumer)).run == run then found[#found + 1] = consumer end
end
return found
