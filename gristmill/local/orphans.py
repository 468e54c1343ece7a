"""What dead workers of this process leave: a command that is a subreaper becomes its parent, and ends it."""

import os
from collections.abc import Collection
from contextlib import suppress

from gristmill.local.descendants import children, children_of_thread, end_descendants, is_subreaper, status

#: Seconds between two steps of a reaper; what has ended before both of them was nobody's.
REAP_SECONDS = 30.0


class Orphans:
    """Ends the children that this process has not started itself; made before it starts the first worker."""

    def __init__(self) -> None:
        self._own = children(os.getpid())

    def end(self, started: Collection[int]) -> int:
        """Kill all children but for those that this process has `started`; return how many ran.

        Does nothing in a program that is no subreaper: it may start processes of its own beside its workers.
        """
        return end_descendants(os.getpid(), {*self._own, *started}) if is_subreaper() else 0


class Reaper:
    """Waits for adopted children that have ended; for a program whose main thread starts no processes.

    The kernel gives adopted children to the main thread. Those that other threads start are theirs to wait for.
    """

    def __init__(self) -> None:
        self._zombies: set[int] = set()

    def step(self) -> None:
        """Wait for those that had ended at the last step."""
        # Some kernels have no such list, and other systems adopt nothing.
        with suppress(FileNotFoundError):
            self._zombies = reap(self._zombies)


def reap(zombies: Collection[int]) -> set[int]:
    """Wait for the main thread's children that have ended and were `zombies` before; return the others that have."""
    ended = {pid for pid in children_of_thread(os.getpid(), os.getpid()) if (status(pid) or "X")[0] == "Z"}
    for pid in ended & set(zombies):
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return ended - set(zombies)
