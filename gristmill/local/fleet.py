"""The processes of this host: the private server, workers and the dashboard, which end together."""

import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from gristmill.config.flower import check_reach, dashboard_url, is_guarded
from gristmill.config.settings import settings, use, variable
from gristmill.errors import ServerError, SettingError, invalid_value
from gristmill.fleet.registry import WorkerRegistry
from gristmill.local.log_file import LogFiles
from gristmill.local.orphans import Orphans
from gristmill.local.processes import Child
from gristmill.server.connection import client
from gristmill.server.home import Home
from gristmill.server.owner import OwnedServer, own_server
from gristmill.server.waiting import Deadline

#: Seconds in which workers and the dashboard must be up; seconds beyond the drain in which workers must be gone.
START_SECONDS, END_SECONDS = 60.0, 5.0


class LocalFleet:
    """Runs workers and, on `port`, the dashboard. A context manager.

    `slots` has the word of each worker (`cpu`, `mail:io`) and its slots, 0 for as many as the settings say; workers
    whose word is `tuned` begin with these, and change their number by what their items wait for. The fleet owns the
    home for its duration. Without GRISTMILL_REDIS_URL it runs the private server too. `say` gets a line for each dead
    process that the fleet starts again, in any thread; `logs` is a directory for the log files of the processes.
    Without it they are in `logs` of the home, and stderr has their lines too.
    """

    def __init__(
        self,
        kind: str,
        slots: Mapping[str, int],
        *,
        port: int | None = None,
        say: Callable[[str], None] = lambda _: None,
        logs: Path | None = None,
        tuned: Collection[str] = (),
    ) -> None:
        self._kind, self._slots, self._port, self._say, self._logs = kind, slots, port, say, logs
        self._tuned, self._environ = tuned, {"GRISTMILL_HOME": str(settings().home)}
        self._home = Home(settings().home)
        self._stack = ExitStack()
        self._owned: OwnedServer | None = None
        self._workers: list[Child] = []
        self._others: list[Child] = []
        #: The address of the dashboard, if there is one.
        self.dashboard: str | None = None

    def __enter__(self) -> "LocalFleet":
        try:
            self._start()
        except BaseException:
            self._kill_workers()
            self._stack.close()
            raise
        return self

    def _start(self) -> None:
        if self._port is not None:
            check_reach(settings().dashboard_host, guarded=is_guarded(settings()))
        if settings().data_root is None:
            use({"data_root": str(Path.cwd())})
        if settings().redis_url:
            self._stack.enter_context(self._home.owned(self._kind))
            self._start_workers()
        else:
            # The workers load their modules while the server starts.
            self._owned = self._stack.enter_context(
                own_server(self._home, self._kind, settings(), settings().data_root, self._start_workers, self._say)
            )
        self._stack.callback(self._end_children)

    def _start_workers(self) -> None:
        logs = self._logs or self._home.folder("logs")
        self._log_files = self._stack.enter_context(LogFiles(logs, None if self._logs else sys.stderr.fileno()))
        self._orphans = Orphans()
        try:
            for word, slots in self._slots.items():
                arguments = ["gristmill.worker", str(word), "--slots", str(slots)]
                arguments += ["--tune"] if word in self._tuned else []
                queue = word.partition(":")[0]
                self._workers.append(Child(f"{queue} worker", arguments, self._environ, self._log_files.file(queue)))
        except BaseException:
            # While nobody else can own the home.
            self._kill_workers()
            raise

    def _kill_workers(self) -> None:
        while self._workers:
            self._workers.pop().kill()

    def _start_dashboard(self, wish: int) -> None:
        # After the workers: Flower asks once, at its start, which workers there are.
        port = free_port(settings().dashboard_host, wish)
        arguments = ["gristmill.dashboard", "--port", str(port)]
        self._others.append(Child("dashboard", arguments, self._environ, self._log_files.file("flower")))
        self.dashboard = dashboard_url(settings(), port)
        if self._owned:
            self._owned.announce(self.dashboard)

    @property
    def pids(self) -> list[int]:
        """The ids of the workers' and the dashboard's processes."""
        return [child.pid for child in (*self._workers, *self._others)]

    def wait_ready(self) -> None:
        """Wait until every worker sends heartbeats and the dashboard listens.

        Raises:
            ServerError: that took more than START_SECONDS, or a process ended.
        """
        self._await(self._workers_live)
        if self._port is not None:
            self._start_dashboard(self._port)
            self._await(lambda: listens(self.dashboard or ""))

    def _await(self, ready: Callable[[], bool]) -> None:
        deadline = Deadline(START_SECONDS)
        while not ready():
            for child in (*self._workers, *self._others):
                if not child.alive:
                    raise ServerError(f"the {child.name} ended at its start: {child.last_words()}")
            if deadline.over:
                raise ServerError(f"workers and dashboard were not up within {START_SECONDS:g} s")
            time.sleep(0.02)

    def _workers_live(self) -> bool:
        live = {worker.pid for worker in WorkerRegistry(client(), settings()).workers()}
        return all(child.pid in live for child in self._workers)

    def watch(self) -> None:
        """Start dead workers and a dead dashboard again; to be called about twice a second.

        Raises:
            ServerError: the private server has died and does not start any more.
        """
        if self._owned:
            self._owned.check()
        for child in (*self._workers, *self._others):
            code = child.keep_alive()
            if code is not None:
                self._end_orphans()
                again = "as asked of it" if child.is_stopped else f"with code {code}; it starts again in a moment"
                self._say(f"the {child.name} ended {again}")

    def _end_orphans(self) -> None:
        """End what dead workers have left: daemons of their items too, whose parent this process has become."""
        with self._owned.server.known_pids() if self._owned else nullcontext(set[int]()) as server:
            self._orphans.end({*self.pids, *server})

    def restart_workers(self) -> None:
        """Have every worker finish its items, as for Ctrl-C, and start again; `watch` does the second."""
        for worker in self._workers:
            worker.restart(settings().drain_seconds + END_SECONDS)

    def _end_children(self) -> None:
        """Drain the workers; after a second Ctrl-C they put their messages back at once."""
        for child in (*self._workers, *self._others):
            child.signal(signal.SIGTERM)
        deadline = Deadline(settings().drain_seconds + END_SECONDS)
        for child in (*self._workers, *self._others):
            try:
                child.wait(deadline.left or 0.0)
            except KeyboardInterrupt:
                for worker in self._workers:
                    worker.signal(signal.SIGQUIT)
                deadline = Deadline(END_SECONDS)
                child.wait(END_SECONDS)
        for child in (*self._workers, *self._others):
            child.kill()
        self._end_orphans()

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def free_port(host: str, wish: int) -> int:
    """The port `wish` if it is free, else any free port."""
    for port in (wish, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SettingError(invalid_value(variable("dashboard_host"), host, "an address of this host"))


def listens(address: str) -> bool:
    """Whether something accepts connections at an `http://host:port`."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1).close()
    except OSError:
        return False
    return True
