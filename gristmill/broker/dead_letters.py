"""Dead letters: the messages that were given up on. They are kept until somebody requeues or drops them."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from gristmill.broker.reader import decoded
from gristmill.broker.scripts import Scripts
from gristmill.config.settings import Settings

#: DeadLetters in one call: no script may keep the server for long.
CALL_MOST = 200

Entries = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up on. `id` grows with time, `at` is when it was given up, a Unix time in seconds.

    `deaths` counts the processes that it killed, `worker` is the last that had it (host:pid:…). `task` and `task_id`
    are None where the message cannot be read. `bytes` is what it counts for.
    """

    id: str
    queue: str
    priority: int
    reason: str
    deaths: int
    worker: str
    at: float
    task: str | None
    task_id: str | None
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """The documented fields, as `dead list --json` prints them."""
        return {**asdict(self), "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds")}


class DeadLetters:
    """The dead letters of one server, oldest first. Each call takes a bounded number; memory is that of one call.

    RedisError is raised by all when the server cannot be reached or refuses.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._key = settings.key("dead")
        self._scripts = Scripts(client, settings.prefix)

    def __len__(self) -> int:
        return self._client.xlen(self._key)

    @property
    def size(self) -> int:
        """The bytes that all of them count for towards `dead_letter_bytes`."""
        return int(self._client.get(f"{self._key}:bytes") or 0)

    def __iter__(self) -> Iterator[DeadLetter]:
        """Those that there are now, not what comes while they are read."""
        last = self._last()
        start = "-"
        while last and (page := self._range(start, last)):
            yield from (_dead_letter(*entry) for entry in page)
            start = f"({page[-1][0].decode()}"

    def has(self, identity: str) -> bool:
        """Whether there is a letter with this id."""
        return bool(self._range(identity, identity))

    def requeue(self, identity: str) -> bool:
        """Put a letter back at the end of its queue, as it was sent; False when there is none with this id."""
        return bool(self._scripts.call("dead_letters", 1, identity, identity, 1))

    def drop(self, identity: str) -> bool:
        """Delete a letter; False when there is none with this id."""
        return bool(self._scripts.call("dead_letters", 0, identity, identity, 1))

    def requeue_all(self) -> int:
        """Requeue those that there are now, and not again what dies meanwhile; answers their number."""
        return self._all(1)

    def drop_all(self) -> int:
        """Delete those that there are now; answers their number."""
        return self._all(0)

    def _all(self, requeue: int) -> int:
        last, number = self._last(), 0
        while last and (done := self._scripts.call("dead_letters", requeue, "-", last, CALL_MOST)):
            number += done
        return number

    def _last(self) -> str | None:
        newest = self._read("XREVRANGE", "+", "-", 1)
        return newest[0][0].decode() if newest else None

    def _range(self, first: str, last: str) -> Entries:
        return self._read("XRANGE", first, last, CALL_MOST)

    def _read(self, command: str, start: str, end: str, count: int) -> Entries:
        # As bytes: what a malformed message holds need not be text.
        read: Callable[..., Entries] = self._client.execute_command
        return read(command, self._key, start, end, "COUNT", count, NEVER_DECODE=True)


def _dead_letter(identity: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    said = {name.decode(): value.decode(errors="backslashreplace") for name, value in fields.items()}
    task, task_id = _task(fields[b"message"])
    return DeadLetter(
        id=identity.decode(),
        queue=said["queue"],
        priority=int(said["level"]),
        reason=said["reason"],
        deaths=int(said["deaths"]),
        worker=said["worker"],
        at=int(said["at"]) / 1000,
        task=task,
        task_id=task_id,
        bytes=sum(len(name) + len(value) for name, value in fields.items()),
    )


def _task(message: bytes) -> tuple[str | None, str | None]:
    try:
        headers = decoded(message).get("headers") or {}
    except ValueError:
        return None, None
    task, identity = headers.get("task"), headers.get("id")
    return task if isinstance(task, str) else None, identity if isinstance(identity, str) else None
