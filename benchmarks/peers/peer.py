"""A peer in one setting: how its tasks are put and its workers are started, and what it guarantees then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.environment import programs, versions
from benchmarks.peers.server import Version, binary

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
#: What workers are started for: nothing, about 10 ms of CPU, 100 ms of waiting.
WORK = ("noop", "cpu", "wait")
#: No-ops that are put and drained on a server that flushes once a second; on all others, each answer is on the disk.
EVERYSEC = "everysec"
WORKLOADS = (WORK[0], EVERYSEC, *WORK[1:])


@dataclass(frozen=True, slots=True)
class Peer:
    """One row of the table.

    `package` is its environment; None: this project's own. `workers` has for each workload that the setting suits the
    command of its workers, a program of the environment first, and how often it is started. `slots` is how many
    waits it runs at once, `noops` how many no-ops of a list are put in a round. `put` says with what a list is put.
    `lot` is how many no-ops a user packs into each message by hand. `redis` is the oldest Redis that it runs on; None:
    the embedded server will do.
    """

    name: str
    package: str | None
    app: str
    workers: Mapping[str, tuple[str, int]]
    put: str
    guarantee: str
    slots: int = 64
    noops: int = 4_000
    environ: Mapping[str, str] = field(default_factory=dict)
    lot: int = 1
    redis: Version | None = None
    #: Whether a task that a killed worker had runs again by itself, however late.
    keeps: bool = False
    #: Whether single tasks can be put: not with batches, which are lists.
    singles: bool = True

    @property
    def is_ours(self) -> bool:
        """Whether it is Gristmill."""
        return self.package is None

    @property
    def versions(self) -> str:
        """What its environment is pinned to."""
        return versions(self.package)

    def has(self, workload: str) -> bool:
        """Whether the setting suits a workload."""
        return (WORK[0] if workload == EVERYSEC else workload) in self.workers

    def ready(self) -> None:
        """Make its environment, unless it is there.

        Raises:
            SubprocessError: that failed.
            RuntimeError: there is no server that it runs on.
        """
        binary(self.redis)
        programs(self.package)

    def command(self, workload: str) -> list[str]:
        """The command of a worker, with the path of its program."""
        program, *arguments = self.workers[workload][0].split()
        return [str(programs(self.package) / program), *arguments]

    def putting(self, *arguments: str) -> list[str]:
        """The command that puts tasks: see apps/put.py."""
        return [str(programs(self.package) / "python"), "put.py", self.app, *arguments]

    def text(self, workload: str) -> str:
        """The command as a person would type it, how often, and with what in its environment."""
        command, times = self.workers[workload]
        settings = " ".join(f"{name}={value}" for name, value in self.environ.items())
        return f"`{settings + ' ' if settings else ''}{command}`" + (f", {times} times" if times > 1 else "")
