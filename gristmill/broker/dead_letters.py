"""Dead letters: the messages that workers gave up on. They stay until somebody requeues or deletes them."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

from redis import Redis

from gristmill.broker.reader import decoded
from gristmill.broker.scripts import TransportScripts
from gristmill.config.figures import moment
from gristmill.config.settings import Settings
from gristmill.server.actor import actor

#: Most dead letters of one call: no script may occupy the server for long.
CALL_MOST = 200

Entries = list[tuple[bytes, dict[bytes, bytes]]]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that workers gave up on.

    Attributes:
        id: grows with time.
        priority: 0 to 9, 0 first.
        deaths: how many processes the message has killed.
        worker: the last worker that had it, host:pid:….
        at: when it became a dead letter, a Unix time in seconds.
        task: None where the message cannot be read; so is `task_id`.
        bytes: what it counts towards `dead_letter_bytes`.
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
        return {**asdict(self), "at": moment(self.at)}


class DeadLetters:
    """The dead letters of one server, oldest first. Each call reads a bounded number, so memory stays flat.

    Every method raises RedisError when the server cannot be reached or refuses.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client = client
        self._key = settings.key("dead")
        self._scripts = TransportScripts(client, settings.prefix)

    def __len__(self) -> int:
        return self._client.xlen(self._key)

    @property
    def size(self) -> int:
        """The bytes of all dead letters, which `dead_letter_bytes` limits."""
        return int(self._client.get(f"{self._key}:bytes") or 0)

    def __iter__(self) -> Iterator[DeadLetter]:
        """Iterate over the dead letters of this moment, not over those that come meanwhile."""
        last = self._last()
        start = "-"
        while last and (page := self._range(start, last)):
            yield from (_dead_letter(*entry) for entry in page)
            start = f"({page[-1][0].decode()}"

    def has(self, identity: str) -> bool:
        """Whether a dead letter has this id."""
        return bool(self._range(identity, identity))

    def requeue(self, identity: str) -> bool:
        """Put a dead letter at the end of its queue, as it was sent; False if none has this id."""
        return bool(self._resolve(identity, identity, 1, requeue=True))

    def drop(self, identity: str) -> bool:
        """Delete a dead letter; False if none has this id."""
        return bool(self._resolve(identity, identity, 1, requeue=False))

    def requeue_all(self) -> int:
        """Requeue the dead letters of this moment, each once; answers their number."""
        return self._all(requeue=True)

    def drop_all(self) -> int:
        """Delete the dead letters of this moment; answers their number."""
        return self._all(requeue=False)

    def _all(self, *, requeue: bool) -> int:
        last, total = self._last(), 0
        while last and (count := self._resolve("-", last, CALL_MOST, requeue=requeue)):
            total += count
        return total

    def _resolve(self, first: str, last: str, most: int, *, requeue: bool) -> int:
        # The client repeats a call whose answer was lost: by its token the server knows it, and answers the same.
        ids = {"token": uuid4().hex, "first": first, "last": last}
        return int(self._scripts.call("dead_letters", **ids, most=most, requeue=requeue, actor=actor()))

    def _last(self) -> str | None:
        newest = self._read("XREVRANGE", "+", "-", 1)
        return newest[0][0].decode() if newest else None

    def _range(self, first: str, last: str) -> Entries:
        return self._read("XRANGE", first, last, CALL_MOST)

    def _read(self, command: str, start: str, end: str, count: int) -> Entries:
        # As bytes: a malformed message need not be text.
        read: Callable[..., Entries] = self._client.execute_command
        return read(command, self._key, start, end, "COUNT", count, NEVER_DECODE=True)


def _dead_letter(identity: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    texts = {name.decode(): value.decode(errors="backslashreplace") for name, value in fields.items()}
    task, task_id = _task(fields[b"message"])
    return DeadLetter(
        id=identity.decode(),
        queue=texts["queue"],
        priority=int(texts["level"]),
        reason=texts["reason"],
        deaths=int(texts["deaths"]),
        worker=texts["worker"],
        at=int(texts["at"]) / 1000,
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
