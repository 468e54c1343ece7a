--@ value_folder(batch, token) frees
--@ uses batches/ledger
-- The folder of the files with values of a batch; the first call names it, by a token. Touches: batch:{b}:state, and
--   value_folders  hash  folder -> batch, a blank, what its last sweep saw; it outlives the batch, until the folder is gone
--   state field    value_folder
-- Returns the folder's name, or nothing if there is no such batch.
local b = state(batch, {'task', 'value_folder'}, {})
if not b.task then return '' end
local folder = b.value_folder or batch .. '.' .. token
if not b.value_folder then
  redis.call('HSET', GM .. 'value_folders', folder, batch .. ' ')
  redis.call('HSET', key(batch, 'state'), 'value_folder', folder)
end
return folder
