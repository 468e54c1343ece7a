"""The ledger of batches: their state, items and outcomes on the server, one Lua call for each change of state."""
