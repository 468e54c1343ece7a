"""A TCP proxy before a server: cuts connections where a test wants it, also in a reply, or holds requests back."""

import random
import socket
import struct
import threading
import time
from contextlib import suppress

#: Closing with this sends a reset: the other side gets an error, not an end.
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on `port` and passes everything on to 127.0.0.1:`target`. A context manager."""

    def __init__(self, target, seed=0):
        self._target = target
        self._luck = random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs = []
        self._silent = set()
        self._words, self._times = b"", 0
        self._chance = 0.0
        self._slow, self._seconds = (), 0.0
        #: Replies that were cut in their middle.
        self.cuts = 0

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        self.cut_all()

    def cut_next(self, words, times=1):
        """Cut the next replies that have these bytes in them, in their middle."""
        self._words, self._times = words, times

    def cut_often(self, chance):
        """Cut each request or reply with this chance, some of them before a byte of it has passed."""
        self._chance = chance

    def hold_back(self, *words, seconds):
        """Have each request with one of these words, as bytes, reach the server only after so many seconds."""
        self._slow, self._seconds = words, seconds

    def silence(self):
        """Have the connections of now stay open, and nothing pass any more; the server has lost its ends of them.

        So does a proxy, or a router, that has forgotten them.
        """
        for client, server in self._pairs[:]:
            self._silent.add(client)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    def cut_all(self):
        """Cut every connection now."""
        for pair in self._pairs[:]:
            self._cut(pair)

    def _cut(self, pair):
        with suppress(ValueError):
            self._pairs.remove(pair)
        for side in pair:
            with suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                if self._listener.fileno() < 0:
                    return
                client.close()
                continue
            self._pairs.append((client, server))
            for source, sink, reply in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass, args=((client, server), source, sink, reply), daemon=True).start()

    def _pass(self, pair, source, sink, reply):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if pair[0] in self._silent:
                    continue
                if not reply and any(words in data for words in self._slow):
                    time.sleep(self._seconds)
                matches = reply and self._times > 0 and self._words in data
                if matches or self._luck.random() < self._chance:
                    self._times -= matches
                    sink.sendall(data[: len(data) // 2 if matches else self._luck.randrange(len(data))])
                    self.cuts += 1
                    break
                sink.sendall(data)
        if pair[0] not in self._silent:
            self._cut(pair)
