"""Gristmill: batches of Python work on many cores and many hosts, with nothing lost."""
