"""What runs in a worker now: a table that its processes share, and which row an item has."""
