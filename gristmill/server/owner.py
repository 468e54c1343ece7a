"""Owning a home: its lock, its private server and `server.json`, for as long as the owner runs."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gristmill.config.settings import Settings
from gristmill.server.home import Home, ServerFile
from gristmill.server.private import PrivateServer


class OwnedServer:
    """The private server of a home that this process owns."""

    def __init__(self, home: Home, server: PrivateServer, data_root: Path | None) -> None:
        self.server = server
        self._home = home
        self._data_root = data_root
        self._dashboard: str | None = None
        #: Whether `revive` has answered the line about a full disk.
        self._crowded = False

    @property
    def url(self) -> str:
        """The server's URL, password included."""
        return self.server.url

    def announce(self, dashboard: str | None = None) -> None:
        """Write `server.json` for every other command; `dashboard` is the dashboard's URL, once there is one."""
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

    def revive(self) -> str | None:
        """Start the server again if it has died; answers a line for a person, if there is news. Call it regularly.

        With `appendfsync always` a server ends when its disk is full; it starts again once there is room.

        Raises:
            ServerError: the server does not start any more.
        """
        if self.server.alive:
            return None
        if not self._home.has_room():
            announced, self._crowded = self._crowded, True
            return None if announced else f"the server has ended: {self._home.crowded()}"
        words = self.server.last_words()
        self._crowded = False
        self.server.restart()
        self.announce()
        return f"the server had died and was started again; the end of its log: {words}"


@contextmanager
def own_server(
    home: Home,
    kind: str,
    settings: Settings,
    data_root: Path | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[OwnedServer]:
    """Own the home, with its server running and announced, for the duration.

    `kind` is the command that the error of a second owner names, such as `gristmill up`; `data_root` is the
    directory that file items are under. `meanwhile` is called once the home is owned and before the server starts:
    what it starts beside the server waits until the server is announced.

    Raises:
        InputError: another process owns the home.
        ServerError: the server does not start, or the home cannot be used.
    """
    with home.owned(kind):
        home.remove()
        meanwhile()
        with PrivateServer(home, settings) as server:
            owned = OwnedServer(home, server, data_root)
            try:
                owned.announce()
                yield owned
            finally:
                home.remove()
