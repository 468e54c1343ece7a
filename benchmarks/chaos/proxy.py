"""A TCP proxy that cuts a connection in the middle of a reply."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Listens on a port of 127.0.0.1 and passes on to `port`; it does as it is told to connections on the way."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: Connections cut so far.
        self.cuts = 0
        self._lock = threading.Lock()
        self._left: int | None = None
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            left = [self._listener, *self._open]
        for end in left:
            _cut(end)

    def cut(self, after: int) -> None:
        """Cut a connection once the server has sent so many more bytes, to all clients together.

        That client gets the bytes up to there and nothing more; its later requests do not arrive.
        """
        with self._lock:
            self._left = after

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open |= {client, server}
                for source, target, reply in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=(source, target, reply), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, reply: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                whole = self._until_cut(data) if reply else None
                target.sendall(data[:whole])
                if whole is not None:
                    break
        with self._lock:
            self._open -= {source, target}
        for end in (source, target):
            _cut(end)

    def _until_cut(self, data: bytes) -> int | None:
        """How much of the reply is still passed on; None: all of it, and the connection stays."""
        with self._lock:
            if self._left is None:
                return None
            if len(data) <= self._left:
                self._left -= len(data)
                return None
            whole, self._left = self._left, None
            self.cuts += 1
            return whole


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
