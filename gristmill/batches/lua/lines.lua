--@ uses batches/ledger
-- What items write while they run, for those who listen; it is gone a minute later.
--   batch:{b}:listeners  string  there while somebody listens; expires
--   batch:{b}:lines     stream  index and text, by turns
local LISTENERS_MS, LINES_MOST, LINES_KEPT_MS = 5000, 1000, 60000
