"""From the words of `run` and `submit` to a submission."""
