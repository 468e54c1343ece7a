--@ say(batch, lines: list) frees
--@ uses batches/lines
-- Tell those who listen to a batch what its items write now: index and text by turns. Touches: batch:{b}:listeners,
-- batch:{b}:lines. Returns whether anybody listens.
if redis.call('EXISTS', key(batch, 'listeners')) == 0 then return 0 end
redis.call('XADD', key(batch, 'lines'), 'MAXLEN', '~', LINES_MOST, '*', unpack(lines))
redis.call('PEXPIRE', key(batch, 'lines'), LINES_KEPT_MS)
return 1
