"""What an item may change of the process that runs it, and how that is undone."""
