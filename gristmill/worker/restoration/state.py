"""What an item may change of the process that runs it, and how that is undone before the next item.

Only a process that runs one item at a time can undo it: a process of the cpu pool, or a quarantine process.
"""

import logging
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from os import fchdir, getpid, umask, waitid
from resource import getrlimit, setrlimit
from typing import Any

from redis import Redis

from gristmill.local.descendants import become_subreaper, children, end_descendants
from gristmill.worker.limits import time_limit
from gristmill.worker.rare_log import RareLog
from gristmill.worker.restoration.descriptors import Identity, copy_of, identities, lost, open_count, open_numbers
from gristmill.worker.restoration.fork_mark import ForkMark, fork_mark
from gristmill.worker.restoration.helper_processes import helper_processes
from gristmill.worker.restoration.patches import Patches
from gristmill.worker.restoration.signal_state import SignalState
from gristmill.worker.restoration.whole_process import WholeProcess

#: Seconds of an item after which everything is looked at.
LONG_SECONDS = 0.001
#: Threads that an item may leave before its process is replaced.
_THREADS = 64
_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT
_LIMITS = sorted({value for name, value in vars(resource).items() if name.startswith("RLIMIT_")})

log = RareLog(logging.getLogger(__name__))


class ProcessState:
    """The state of this process as its items find it; without `begin`, nothing is looked at."""

    def __init__(self) -> None:
        self.pid = 0
        self._mark: ForkMark = b"\1"
        #: Why the process is to be replaced after the outcome of its last item is recorded.
        self.reason = ""
        #: Whether descriptors were closed or replaced that the server's connections may use, or the pool.
        self.connections_lost = self.pipes_lost = False
        self.items = 0
        self._max_items = 0
        #: Whether the process is to run no other item.
        self.is_spent = False
        #: The variables that items have set or unset, and whether one has changed the working directory.
        self._names: set[bytes] = set()
        self._has_moved = False
        self._spare: Callable[[], Collection[int]] = frozenset

    def begin(self, max_items: int = 0, spare: Callable[[], Collection[int]] = frozenset) -> None:
        """Note the state that each item is to find. `spare` answers children that are not an item's."""
        become_subreaper()
        self.pid, self._max_items, self._spare = getpid(), max_items, spare
        self._mark = fork_mark()
        self._cwd, self._statm = -1, -1
        if sys.platform == "linux":
            self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._memory = getrlimit(resource.RLIMIT_DATA)[0]
        self._copies = {number: copy_of(number) for number in range(3)}
        self._pipes = identities()
        self._own: dict[int, Identity] = {}
        self.adopt()
        # Python says so when its code calls chdir or changes the environment: cheaper than to ask after each item.
        sys.addaudithook(self._note)

    def adopt(self) -> None:
        """Note the state of this process as its own, and no item's: at its start, and after a task's `setup`."""
        if not self.pid:
            return
        self._umask = umask(0)
        umask(self._umask)
        if self._cwd >= 0:
            os.close(self._cwd)
        self._cwd = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
        self._environ, self._variables = os.environ, dict(os.environ)
        self._names.clear()
        self._has_moved = False
        self._zone = _zone()
        self._whole, self._signals, self._patches = WholeProcess(), SignalState(), Patches()
        self._limits = _limits()
        self._threads = threading.active_count()
        self._children = children(self.pid)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.putenv", "os.unsetenv"):
            self._names.add(arguments[0])
        elif event == "os.chdir":
            self._has_moved = True

    def before_items(self) -> None:
        """Note the limits of a chunk, where the process runs, and the descriptors that it has opened.

        Between chunks no item runs: what is another descriptor now is a connection that broke and was made again, and
        other cores or another priority are somebody's who looks after this host.
        """
        if not self.pid:
            return
        self._limits = _limits()
        self._whole.note_place()
        if not self._own or lost(self._own):
            self._own = {number: each for number, each in identities().items() if number not in self._pipes}

    def after_item(self, seconds: float, failed: bool, by_program: bool = False) -> None:
        """Undo what an item has changed: all of it after a failure or a long run, else what is cheap to look at.

        What another program did (`by_program`) was not in this process.
        """
        if self.pid:
            self.items += 1
            if self.items == self._max_items:
                self.is_spent = True
            umask(self._umask)
            if self._has_moved:
                self._restore_directory()
            if self._names:
                self._restore_environment()
            if (failed or seconds > LONG_SECONDS) and not by_program:
                self.restore_all()

    def after_items(self, client: Redis) -> None:
        """Undo everything before the outcomes of a chunk are recorded; `client` opens new connections if it must."""
        self.restore_all()
        if self.connections_lost:
            client.connection_pool.disconnect()

    def leave_if_forked(self) -> None:
        """End this process at once if it is a copy that an item has forked: it must not go on as the pool process."""
        if not self._mark[0]:
            os._exit(0)

    def leave(self) -> None:
        """End this process at once, if it is one that runs an item at a time: its message comes back as a suspect."""
        if self.pid:
            os._exit(os.EX_SOFTWARE)

    def leave_if_cut_off(self) -> None:
        """End this process once its outcomes are recorded, if what it would write to its pool went elsewhere."""
        if self.pipes_lost:
            os._exit(os.EX_OSERR)

    def restore_all(self) -> None:
        """Undo all that can be undone; where that is not possible, note why the process is to be replaced."""
        if not self.pid:
            return
        umask(self._umask)
        try:
            for reason in self._differences():
                self._replace(reason)
        except Exception as error:
            # Whatever it is, the outcomes are to be recorded.
            self._replace(f"left what cannot be undone: {error!r}")

    def _replace(self, reason: str) -> None:
        self.is_spent = True
        if not self.reason:
            self.reason = reason
            # The item may have closed what the line is written to.
            with suppress(Exception):
                log.warning(reason.partition(" ")[0], "this process is replaced: an item %s", reason)

    def _differences(self) -> Iterator[str]:
        """Undo what an item has changed; yields what cannot be undone."""
        self._patches.restore()
        yield from self._whole.restore()
        self._restore_directory()
        self._restore_environment()
        self._signals.restore()
        time_limit.repair()
        yield from self._limits_left()
        yield from self._descriptors_left()
        yield from self._memory_left()
        if not all(map(_is_open, (sys.stdout, sys.stderr))):
            yield "closed its standard output"
        if threading.active_count() > self._threads + _THREADS:
            yield "left threads"
        if self.end_children():
            yield "left processes, which were ended"

    def _restore_directory(self) -> None:
        try:
            fchdir(self._cwd)
        except OSError:
            self._replace("closed the descriptor of the working directory")
        # This call was one to chdir, too.
        self._has_moved = False

    def _restore_environment(self) -> None:
        os.environ = environ = self._environ
        # Both os.environ and os.putenv have told which.
        names = {os.fsdecode(name) for name in self._names}
        for name in names:
            if name in self._variables:
                environ[name] = self._variables[name]
            else:
                environ.pop(name, None)
                os.unsetenv(name)
        self._names.clear()
        if names or _zone() != self._zone:
            time.tzset()

    def _limits_left(self) -> Iterator[str]:
        for number, pair in self._limits.items():
            if getrlimit(number) != pair:
                try:
                    setrlimit(number, pair)
                except (OSError, ValueError):
                    yield "lowered a limit of the process for good"

    def _descriptors_left(self) -> Iterator[str]:
        others = lost(self._pipes)
        for number, copy in self._copies.items():
            if number in others and copy is not None:
                with suppress(OSError):
                    os.dup2(copy, number, inheritable=True)
        self.pipes_lost = bool(lost({each: self._pipes[each] for each in others}))
        self.connections_lost = self.connections_lost or bool(lost(self._own))
        if self.pipes_lost or self.connections_lost:
            yield "closed descriptors of the process"
        limit = getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit > 0 and open_count() > limit // 2:
            # There may be none for what follows, and nothing else of this process runs.
            keep = {*self._pipes, *self._own, *filter(None, self._copies.values()), self._cwd, self._statm}
            for number in {*open_numbers(limit)} - keep:
                with suppress(OSError):
                    os.close(number)
            self.connections_lost = True
            yield f"left over {limit // 2:,} descriptors open"

    def _memory_left(self) -> Iterator[str]:
        limit = self._memory
        if limit > 0 and self._statm >= 0:
            try:
                size = int(os.pread(self._statm, 100, 0).split()[5]) * resource.getpagesize()
            except (OSError, ValueError, IndexError):
                size = limit
            if size > limit // 2:
                yield f"left the process with over {limit // 2 >> 20:,} MiB of memory"

    def end_children(self) -> int:
        """End the processes that an item has left; return how many ran. What else it changed stays."""
        if not self.pid:
            return 0
        try:
            waitid(os.P_ALL, 0, _ENDED)
        except ChildProcessError:
            return 0
        return end_descendants(self.pid, {*self._children, *self._spare(), *helper_processes()})


def _limits() -> dict[int, tuple[int, int]]:
    return {number: getrlimit(number) for number in _LIMITS}


def _is_open(stream: Any) -> bool:
    try:
        return not getattr(stream, "closed", False)
    except ValueError:
        # Its buffer was detached.
        return False


def _zone() -> tuple[Any, ...]:
    return time.tzname, time.timezone, time.altzone


#: The state of this process.
process_state = ProcessState()
