"""Turns of the workers of a fleet at what each of them could do, so that a large fleet asks the server no more."""

import random

#: Turns a second of all workers together, about.
TURNS_MOST = 20


class FleetTurns:
    """The turns of one worker that looks once a second; `workers` is how many of them live, as it saw last."""

    def __init__(self) -> None:
        self.workers = 1

    def is_mine(self) -> bool:
        """Whether this worker looks now: always in a small fleet, by chance in a large one."""
        return random.random() * self.workers <= TURNS_MOST  # noqa: S311 (no secret)
