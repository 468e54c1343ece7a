"""A peer in one setting: how its tasks are put and its workers are started, and what it guarantees then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.environment import programs, versions
from benchmarks.peers.server import Version

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
#: The workloads: nothing, about 10 ms of CPU, 100 ms of waiting.
WORKLOADS = ("noop", "cpu", "wait")


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
