"""From the words of `run` and `submit` to the items of a batch."""
