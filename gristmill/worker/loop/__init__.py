"""The event loop of a process: the items of `async def` tasks run on it side by side."""
