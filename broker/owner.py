"""Owning a home: its lock, its private server and `server.json`, all for as long as the owner runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.home import Home, ServerFile
from broker.server import EmbeddedServer
from config.settings import Settings


class OwnedServer:
    """The private server of a home that this process owns."""

    def __init__(self, home: Home, server: EmbeddedServer, data_root: Path | None) -> None:
        self.server = server
        self._home = home
        self._data_root = data_root
        self._dashboard: str | None = None

    @property
    def url(self) -> str:
        """The server's address, password included."""
        return self.server.url

    def announce(self, dashboard: str | None = None) -> None:
        """Tell every other command, in `server.json`; `dashboard` is its address, once it has one."""
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
        """Start the server again if it has died; its last words then, else None. To be called now and then.

        Raises:
            ServerError: it does not start any more.
        """
        if self.server.alive:
            return None
        words = self.server.last_words()
        self.server.restart()
        self.announce()
        return words


@contextmanager
def own_server(home: Home, kind: str, settings: Settings, data_root: Path | None = None) -> Iterator[OwnedServer]:
    """Own the home, with its server running and announced, for the duration.

    `kind` is the command that a second owner is told of, such as `gristmill up`; `data_root` the directory
    that file items are under.

    Raises:
        InputError: another process owns the home.
        ServerError: the server does not start, or the home cannot be used.
    """
    with home.owned(kind):
        home.remove()
        with EmbeddedServer(home, settings) as server:
            owned = OwnedServer(home, server, data_root)
            try:
                owned.announce()
                yield owned
            finally:
                home.remove()
