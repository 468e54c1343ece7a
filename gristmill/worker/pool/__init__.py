"""The pool of a worker: its processes, how they start, what travels to them, how many there are."""
