"""Reading messages: the two requests that a channel sends to the server, and how it reads their answers."""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, NamedTuple, cast

from kombu.asynchronous import get_event_loop
from kombu.log import get_logger
from kombu.utils.json import loads
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

from gristmill.broker.leases import Lease
from gristmill.broker.scripts import TransportScripts, Unwritable, as_text
from gristmill.broker.tags import queue_of, tag_of
from gristmill.server.waiting import FOREVER, unwritable

#: Most messages of one take: the event loop has other things to do in between.
TAKE_MOST = 128
#: Seconds between two takes where at least PACE_FROM slots are half in use: each take then has several messages.
PACE_SECONDS, PACE_FROM = 0.005, 16
#: The level of a queue's stream that has alarms (queue.lua).
ALARM = "alarm"
#: Types of JSON's values that have others.
_NESTING = frozenset((list, dict))

logger = get_logger(__name__)


class Entry(NamedTuple):
    """A message that this process took from the server."""

    tag: str
    text: bytes | str
    #: How often the message came back from workers that died.
    returns: int = 0
    #: `due` or `revoked` if the message has waited on the server for its time, else empty.
    mark: str = ""
    #: How often the message was delivered before, here or elsewhere.
    deliveries: int = 0

    @property
    def queue(self) -> str:
        """The queue that the message came from."""
        return queue_of(self.tag)


def entries_of(flat: list[Any]) -> Iterator[Entry]:
    """The messages in the answer of `take.lua`."""
    for start in range(0, len(flat), 5):
        tag, text, returns, mark, deliveries = flat[start : start + 5]
        yield Entry(as_text(tag), text, int(returns), as_text(mark), deliveries)


def decoded(text: bytes | str) -> dict[str, Any]:
    """The kombu message in the text of an entry.

    Raises:
        ValueError: the text is not a kombu message; the error says why.
    """
    try:
        plain = as_text(text)
        message = loads(plain) if '"__type__"' in plain else json.loads(plain)
    except Exception as error:
        # Beside ValueError: JSON that is nested too deeply for Python, or a `__type__` that kombu does not know.
        raise ValueError(f"not JSON: {error!r}") from error
    if problem := _problem(message):
        raise ValueError(f"not a kombu message: {problem}")
    return cast(dict[str, Any], message)


def _problem(message: Any) -> str:
    """Why kombu cannot read `message`; empty if it can."""
    if not isinstance(message, dict) or not isinstance(message.get("properties"), dict):
        return "it has no properties"
    properties, body, headers = message["properties"], message.get("body"), message.get("headers")
    delivery_info = properties.get("delivery_info")
    for name, value in (("headers", headers), ("delivery_info", delivery_info)):
        if value is not None and not isinstance(value, dict):
            return f"{name} is not an object"
    if delivery_info and not _NESTING.isdisjoint(map(type, delivery_info.values())):
        return "delivery_info is not flat"
    if body is not None and not isinstance(body, str):
        return "its body is not text"
    encoding = properties.get("body_encoding")
    if encoding not in (None, "", "utf-8", "base64"):
        return f"unknown body_encoding {encoding!r}"
    if encoding == "base64" and body:
        try:
            b64decode(body)
        except ValueError as error:
            return f"its body is not base64: {error}"
    return ""


class QueueReader:
    """The requests on a channel's reading connection: takes, and blocking reads while there are no messages."""

    def __init__(self, lease: Lease, scripts: TransportScripts, levels: Iterable[int]) -> None:
        self.lease, self.scripts = lease, scripts
        self.prefix = scripts.prefix
        #: What the keys of a queue's streams end with.
        self.levels = [*(str(level) for level in levels), ALARM]
        self._ready: set[str] = set()
        self._empty = False
        self._acks: list[str] | None = None
        self._took_at = 0.0
        self._pacing = False
        #: When to ask a server again that could not write (monotonic seconds).
        self._unwritable_until = 0.0

    def paced(self, busy: int, room: int | None) -> bool:
        """Whether to take later, since the slots have enough to do; the event loop wakes up for that take."""
        if monotonic() < self._unwritable_until:
            return True
        if room is None or busy + room < PACE_FROM or busy < room or self._empty:
            return False
        hub = get_event_loop()
        if hub is None or monotonic() - self._took_at >= PACE_SECONDS:
            return False
        if not self._pacing:
            self._pacing = True
            hub.call_later(PACE_SECONDS, self._unpace)
        return True

    def _unpace(self) -> None:
        self._pacing = False

    def send(self, connection: Any, queues: list[str], room: int | None, seconds: float) -> None:
        """Send a request for up to `room` messages of `queues` (None: any number), which waits up to `seconds`."""
        self.give_up()
        count = TAKE_MOST if room is None else min(room, TAKE_MOST)
        # After a process was stopped it takes instead: a take renews the lease before it reads.
        fresh = monotonic() - self._took_at < self.lease.seconds / 2
        if self._empty and fresh and self._ready.issuperset(queues):
            self._empty = False
            wait = int(seconds * 1000)
            connection.send_command(
                "XREADGROUP", "GROUP", "gm", self.lease.consumer, "COUNT", count, "BLOCK", wait, "STREAMS",
                *(f"{self.prefix}gm1:q:{queue}:{level}" for level in self.levels for queue in queues),
                *(">" for _ in self.levels for _ in queues),
            )  # fmt: skip
            return
        create = not self._ready.issuperset(queues)
        self._queues = queues
        self._took_at = monotonic()
        self._acks = self.lease.acks.pop()
        consumer, acks = self.lease.consumer, self._acks
        call = self.scripts.flat("take", consumer=consumer, credit=count, create=create, queues=queues, tags=acks)
        connection.send_command("EVALSHA", *call)

    def take_one(self, queue: str) -> Entry | None:
        """Take a message without waiting, over the channel's other connection."""
        # Until it is known what came, nobody may take it for the answer to a request that was left.
        self.lease.reading[id(self)] = monotonic()
        try:
            call = {"consumer": self.lease.consumer, "credit": 1, "create": False, "queues": [queue], "tags": []}
            _, _, flat = self.scripts.call("take", **call)
            entry = next(entries_of(flat), None)
            if entry:
                self.lease.holding.add(entry.tag)
            return entry
        finally:
            self.lease.reading.pop(id(self), None)

    @property
    def is_waiting(self) -> bool:
        """Whether the last request waits for messages, and does not take those that are there."""
        return self._acks is None

    def give_up(self) -> None:
        """Wait for no answer any more: the acknowledgements that went along with the request are sent again."""
        acks, self._acks = self._acks, None
        self.lease.acks.put_back(acks or ())

    def receive(self, connection: Any) -> list[Entry]:
        """The messages in the server's answer to `send`."""
        try:
            answer = connection.read_response()
        except NoScriptError:
            self.give_up()
            self.scripts.load("take")
            return []
        except ResponseError as error:
            self.give_up()
            # Somebody deleted a queue while we waited: the next take creates its groups.
            self._ready.clear()
            if "NOGROUP" in str(error) or "UNBLOCKED" in str(error):
                return []
            if isinstance(error, ReadOnlyError):
                raise Unwritable(str(error)) from error
            if unwritable(error):
                self._wait_for_room(error)
                return []
            raise
        except BaseException:
            self.give_up()
            self._empty = False
            raise
        acks, self._acks = self._acks, None
        return self._from_block(answer) if acks is None else self._from_take(answer, acks)

    def _wait_for_room(self, error: Exception) -> None:
        """Take nothing for a second: the server cannot write down who has a message."""
        if not self._unwritable_until:
            logger.warning("the server cannot write: no messages are taken until it can (%s)", error)
        self._unwritable_until = monotonic() + FOREVER.pause
        hub = get_event_loop()
        if hub is not None:
            hub.call_later(FOREVER.pause, lambda: None)

    def _from_take(self, answer: Any, acks: list[str]) -> list[Entry]:
        due, foreign, flat = answer
        self._unwritable_until = 0.0
        self.lease.acks.settle(acks, foreign)
        self._ready.update(self._queues)
        self._empty = not flat
        if due >= 0:
            self.lease.wake_in(due / 1000, self._queues)
        return list(entries_of(flat))

    def _from_block(self, answer: Any) -> list[Entry]:
        streams = answer.items() if isinstance(answer, dict) else answer or ()
        messages = []
        for key, entries in streams:
            queue, _, level = as_text(key)[len(self.prefix) + len("gm1:q:") :].rpartition(":")
            for identity, fields in entries[0] if _nested(entries) else entries:
                tag = tag_of(level, as_text(identity), queue)
                if level == ALARM:
                    # The take that follows acknowledges it, and learns when the next message is due.
                    self.lease.holding.add(tag)
                    self.lease.acks.add(tag)
                else:
                    text = dict(zip(map(as_text, fields[::2]), fields[1::2], strict=True))
                    messages.append(Entry(tag, text.get("m", b""), mark=as_text(text.get("mark", ""))))
        return messages


def _nested(entries: Any) -> bool:
    """Whether RESP3 has wrapped a stream's entries in one more list."""
    return bool(entries) and bool(entries[0]) and isinstance(entries[0][0], list | tuple)
