"""Owning a home: its lock, its private server and `server.json`, for as long as the owner runs."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from gristmill.config.settings import Settings
from gristmill.server.home import Home, ServerFile
from gristmill.server.private import PrivateServer

#: Seconds between two looks whether the server lives.
WATCH_SECONDS = 0.2


class OwnedServer:
    """The private server of a home that this process owns. While the context lasts, it is started again if it dies.

    A thread does that: the owner itself may be waiting for an answer of the server. `say` gets a line for a person
    about each death, in that thread.
    """

    def __init__(self, home: Home, server: PrivateServer, data_root: Path | None, say: Callable[[str], object]) -> None:
        self.server = server
        self._home = home
        self._data_root = data_root
        self._say = say
        self._dashboard: str | None = None
        self._announcing = threading.Lock()
        #: Whether `say` has got the line about a full disk.
        self._crowded = False
        self._failure: Exception | None = None
        self._keeper = threading.Thread(target=self._keep, name="server-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.unwanted.set()
        self._keeper.join()

    @property
    def url(self) -> str:
        """The server's URL, password included."""
        return self.server.url

    def announce(self, dashboard: str | None = None) -> None:
        """Write `server.json` for every other command; `dashboard` is the dashboard's URL, once there is one."""
        with self._announcing:
            self._dashboard = dashboard or self._dashboard
            self._home.write(
                ServerFile(
                    url=self.url,
                    pid=os.getpid(),
                    server_pid=self.server.pid,
                    dashboard=self._dashboard,
                    data_root=str(self._data_root) if self._data_root else None,
                )
            )

    def check(self) -> None:
        """Raise what has ended the watch over the server, if anything has. Call it regularly.

        Raises:
            ServerError: the server has died and does not start any more.
        """
        if self._failure:
            raise self._failure

    def _keep(self) -> None:
        try:
            while not self.server.unwanted.wait(WATCH_SECONDS):
                if not self.server.alive:
                    self._revive()
        except Exception as error:
            self._failure = error

    def _revive(self) -> None:
        """Start the server again. With `appendfsync always` one ends when its disk is full: then once there is room."""
        if not self._home.has_room():
            if not self._crowded:
                self._say(f"the server has ended: {self._home.crowded()}")
            self._crowded = True
            return
        words = self.server.last_words()
        self._crowded = False
        self.server.restart()
        self.announce()
        self._say(f"the server had died and was started again; the end of its log: {words}")


@contextmanager
def own_server(
    home: Home,
    kind: str,
    settings: Settings,
    data_root: Path | None = None,
    meanwhile: Callable[[], object] = lambda: None,
    say: Callable[[str], object] = lambda _: None,
) -> Iterator[OwnedServer]:
    """Own the home, with its server running and announced, for the duration. A server that dies is started again.

    `kind` is the command that the error of a second owner names, such as `gristmill up`; `data_root` is the
    directory that file items are under. `meanwhile` is called once the home is owned and before the server starts:
    what it starts beside the server waits until the server is announced. `say` gets a line about each death of it.

    Raises:
        InputError: another process owns the home.
        ServerError: the server does not start, or the home cannot be used.
    """
    with home.owned(kind):
        home.remove()
        meanwhile()
        with PrivateServer(home, settings) as server:
            owned = OwnedServer(home, server, data_root, say)
            try:
                owned.announce()
                with owned:
                    yield owned
            finally:
                home.remove()
