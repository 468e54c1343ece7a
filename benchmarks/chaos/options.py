"""What a run is told."""

from dataclasses import dataclass

POOLS = ("prefork", "threads")
TRANSPORTS = ("ours", "stock")


@dataclass(frozen=True, slots=True)
class Options:
    """How large and how fast a run is; None: as its scenario says.

    `kills` and `tasks` are numbers of them; a scenario that lasts as long as its kills has no `tasks`. `workers` is
    how many run, `steady` how many of those are left alone: messages come back through whoever lives for a lease.
    `lease` (stock kombu gets it as its visibility timeout), `every` (between two faults, on average), `seconds`
    (that a task takes), `down` (that a killed server stays away) and `within` (no fault begins later than that after
    the run's start; None: without a limit) are in seconds. With `keep` the directory of a run stays although all is
    well.
    """

    seed: int = 1
    kills: int | None = None
    tasks: int | None = None
    workers: int = 4
    steady: int = 1
    lease: float = 20.0
    every: float = 1.0
    seconds: float = 0.01
    down: float = 10.0
    within: float | None = None
    keep: bool = False
