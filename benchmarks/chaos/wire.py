"""What a transport has on the server: how much waits, who holds what, what was given up on. Tasks go by number."""

import re
from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

from redis import Redis

#: A task's number is its id (publisher.py), and so in the headers of its message.
_NUMBER = re.compile(rb'"id": ?"(\d+)"')
_PAGE = 5000


def numbers(messages: Iterable[bytes]) -> set[int]:
    """The numbers of the tasks that these messages carry; one that carries none is left out."""
    return {int(match[1]) for message in messages if (match := _NUMBER.search(message))}


def renumbered(message: bytes, first: int, count: int) -> Iterator[bytes]:
    """So many copies of a task's message, numbered from `first` on."""
    match = _NUMBER.search(message)
    assert match
    before, after = message[: match.start(1)], message[match.end(1) :]
    return (b"%b%d%b" % (before, number, after) for number in range(first, first + count))


class Wire:
    """One queue on the server that `url` names, as the transport `name` keeps it."""

    name = ""

    def __init__(self, url: str, queue: str) -> None:
        self.client: Any = Redis.from_url(url)
        self.queue = queue
        #: The message of which others are copies.
        self._original = b""

    def waiting(self) -> int:
        """Number of messages that nobody has taken."""
        raise NotImplementedError

    def empty(self) -> bool:
        """Whether nothing stands: nothing waits, and everything taken was acknowledged."""
        raise NotImplementedError

    def standing(self) -> set[int]:
        """All that waits or is taken."""
        raise NotImplementedError

    def multiply(self, first: int, count: int) -> None:
        """Put so many copies of a message that waits, numbered from `first` on: much faster than any producer can.

        Once there were some, they are copies of the same one.
        """
        self._original = self._original or self._one()
        with self.client.pipeline(transaction=False) as pipe:
            for number, message in enumerate(renumbered(self._original, first, count), 1):
                self._put(pipe, message)
                if number % _PAGE == 0:
                    pipe.execute()
            pipe.execute()

    def _one(self) -> bytes:
        raise NotImplementedError

    def _put(self, pipe: Any, message: bytes) -> None:
        raise NotImplementedError

    def tasks_in_hand(self, pid: int | None = None) -> set[int]:
        """What is taken and not acknowledged, by anybody or by the worker with that pid."""
        raise NotImplementedError

    def dead(self) -> set[int]:
        """What was given up on."""
        return set()

    def heard_at(self, _pid: int) -> float:
        """When the worker with that pid last said that it lives (seconds since 1970); infinite: nobody knows."""
        return inf

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class Ours(Wire):
    """Streams with a consumer group; a consumer's name has its worker's pid."""

    name = "ours"

    def __init__(self, url: str, queue: str) -> None:
        super().__init__(url, queue)
        self.streams = [f"gm1:q:{queue}:{level}" for level in range(10)]

    def _lengths(self) -> list[int]:
        with self.client.pipeline(transaction=False) as pipe:
            for stream in self.streams:
                pipe.xlen(stream)
            pipe.zcard(f"gm1:later:{self.queue}")
            return list(pipe.execute())

    def waiting(self) -> int:
        """XLEN counts what is taken too; that is little."""
        return sum(self._lengths())

    def empty(self) -> bool:
        """Also nothing that waits for its time."""
        return not any(self._lengths())

    def standing(self) -> set[int]:
        """Read in pages: a backlog is long."""
        later = self.client.zrange(f"gm1:later:{self.queue}", 0, -1)
        return numbers(later).union(*(self._read(stream) for stream in self.streams))

    def _read(self, stream: str) -> set[int]:
        tasks: set[int] = set()
        start = "-"
        while entries := self.client.xrange(stream, min=start, count=_PAGE):
            tasks |= numbers(fields[b"m"] for _, fields in entries)
            start = f"({entries[-1][0].decode()}"
        return tasks

    def _one(self) -> bytes:
        return bytes(self.client.xrange(self.streams[0])[0][1][b"m"])

    def _put(self, pipe: Any, message: bytes) -> None:
        pipe.xadd(self.streams[0], {"m": message})

    def tasks_in_hand(self, pid: int | None = None) -> set[int]:
        """By the group's pending entries; what was handed back has no pid."""
        return numbers(message for stream in self.streams for message in self._pending(stream, pid))

    def _pending(self, stream: str, pid: int | None) -> Iterator[bytes]:
        if not self.client.xlen(stream):
            return
        for consumer in self.client.xinfo_consumers(stream, "gm"):
            name = consumer["name"].decode()
            if consumer["pending"] and name != "-" and pid in (None, int(name.split(":")[-2])):
                for entry in self.client.xpending_range(stream, "gm", "-", "+", _PAGE, name):
                    for _, fields in self.client.xrange(stream, entry["message_id"], entry["message_id"]):
                        yield fields[b"m"]

    def dead(self) -> set[int]:
        """The dead letters."""
        return numbers(fields[b"message"] for _, fields in self.client.xrange("gm1:dead"))

    def heard_at(self, pid: int) -> float:
        """By its lease."""
        leases = self.client.zrange(f"gm1:lease:{self.queue}", 0, -1, withscores=True)
        return max((ms / 1000 for name, ms in leases if int(name.split(b":")[-2]) == pid), default=0.0)


class Stock(Wire):
    """kombu's lists, and its hash of what is taken: nobody's name is in that."""

    name = "stock"

    def waiting(self) -> int:
        """Tasks of these runs have no priority: they are in one list."""
        return int(self.client.llen(self.queue))

    def empty(self) -> bool:
        """Nothing in the list nor in the hash."""
        return not self.client.exists(self.queue, "unacked")

    def standing(self) -> set[int]:
        """Read in pages: a backlog is long."""
        tasks = self.tasks_in_hand()
        start = 0
        while messages := self.client.lrange(self.queue, start, start + _PAGE - 1):
            tasks |= numbers(messages)
            start += _PAGE
        return tasks

    def _one(self) -> bytes:
        return bytes(self.client.lindex(self.queue, 0))

    def _put(self, pipe: Any, message: bytes) -> None:
        pipe.lpush(self.queue, message)

    def tasks_in_hand(self, pid: int | None = None) -> set[int]:
        """Nothing for one worker: only the journal knows what it had begun."""
        return numbers(self.client.hvals("unacked")) if pid is None else set()


WIRES: dict[str, type[Wire]] = {"ours": Ours, "stock": Stock}
