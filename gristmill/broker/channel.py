"""The channel: kombu's for Redis, with streams: taking a message and writing down who has it is one step."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from time import monotonic
from typing import Any

from celery.worker.state import revoked
from kombu.log import get_logger
from kombu.transport import redis as stock
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError

from gristmill.broker import revokes
from gristmill.broker.leases import Lease, lease_for
from gristmill.broker.messages import encoded, timed, uncertain
from gristmill.broker.qos import QoS
from gristmill.broker.reader import Entry, QueueReader, decoded
from gristmill.broker.scripts import Scripts, as_if_away, text
from gristmill.server.connection import refuses

logger = get_logger(__name__)


class Channel(stock.Channel):
    """A channel whose queues are streams with a consumer group. Fanout, bindings and connections are kombu's."""

    QoS = QoS
    priority_steps = tuple(range(10))
    #: A body is text: it needs no base64.
    body_encoding = None
    #: 2 or 3; redis-py's default otherwise.
    protocol: int | None = None
    from_transport_options = (*stock.Channel.from_transport_options, "protocol")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._shared: tuple[Any, Redis] | None = None
        self._lease: Lease | None = None
        self._lease_pid = 0
        self._reader: QueueReader | None = None
        self._no_ack: set[str] = set()
        super().__init__(*args, **kwargs)

    @contextmanager
    def conn_or_acquire(self, client: Redis | None = None) -> Iterator[Any]:
        """A client for a call; threads share it. Making one for each call is a fifth of stock kombu's time."""
        pool = self.pool
        if self._shared is None or self._shared[0] is not pool:
            self._shared = pool, self._create_client()
        yield client or self._shared[1]

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None:
            # kombu goes on with a channel that broke while it declared a queue; after this error it takes another.
            raise RedisConnectionError("the channel is closed")
        found: dict[str, Any] = super()._connparams(asynchronous)
        return found if self.protocol is None else {**found, "protocol": int(self.protocol)}

    @property
    def scripts(self) -> Scripts:
        """The transport's scripts, through the channel's own pool."""
        pool = self.pool
        found = self.__dict__.get("_scripts")
        if found is None or found.client.connection_pool is not pool:
            found = self.__dict__["_scripts"] = Scripts(Redis(connection_pool=pool), self.global_keyprefix)
        return found

    @property
    def lease(self) -> Lease:
        """What this process holds on the channel's server."""
        if self._lease is None or self._lease_pid != os.getpid():
            found = self._connparams()
            parameters = {name: found[name] for name in found.keys() - {"max_connections", "retry"}}
            self._lease, self._lease_pid = lease_for(parameters, self.global_keyprefix), os.getpid()
        return self._lease

    @property
    def reader(self) -> QueueReader:
        """The conversation on the reading connection."""
        if self._reader is None or self._reader.lease is not self.lease:
            self._reader = QueueReader(self.lease, self.global_keyprefix, self.priority_steps)
        return self._reader

    def _q_for_pri(self, queue: str, pri: int) -> str:
        return f"{self.global_keyprefix}gm1:q:{queue}:{self.priority(pri)}"

    # -- putting

    def _put(self, queue: str, message: dict[str, Any], _publish_batch: Any = None, **_: Any) -> None:
        level = self._get_message_priority(message, reverse=False)
        message, wait = timed(message)
        body = encoded(message)
        if wait > 0:
            arguments = (self.global_keyprefix, queue, level, int(wait * 1000), body)
            if _publish_batch is None:
                with uncertain():
                    self.scripts.call("delay", *arguments[1:])
            else:
                _publish_batch.add("eval", text("delay"), 0, *arguments)
            return
        key = self._q_for_pri(queue, level)
        if _publish_batch is not None:
            _publish_batch.add("execute_command", "XADD", key, "*", "m", body)
            if queue in self._expires:
                _publish_batch.add("execute_command", "PEXPIRE", key, self._expires[queue])
            return
        with self.conn_or_acquire() as client, uncertain():
            client.execute_command("XADD", key, "*", "m", body)
        self._maybe_update_queues_expire(None, queue)

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any) -> None:
        """Pass a broadcast on; a revoke is written down first, for workers that do not listen."""
        if exchange.endswith(".pidbox"):
            revokes.remember(self.scripts, message)
        super()._put_fanout(exchange, message, routing_key, **kwargs)

    def encode_body(self, body: Any, encoding: str | None = None) -> tuple[Any, str | None]:
        """Text goes as it is, bytes as base64."""
        if isinstance(body, bytes):
            encoding = encoding or "base64"
        encoded, encoding = super().encode_body(body, encoding)
        return encoded, encoding

    def _maybe_update_queues_expire(self, client: Any, queue: str) -> None:  # noqa: ARG002
        if queue in self._expires:
            # Not through a client that adds the prefix: the key has it.
            with self.scripts.client.pipeline(transaction=False) as pipe:
                for level in self.priority_steps:
                    pipe.pexpire(self._q_for_pri(queue, level), self._expires[queue])
                pipe.pexpire(f"{self.global_keyprefix}gm1:lease:{queue}", self._expires[queue])
                pipe.execute()

    # -- taking

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume from `queue`."""
        (self._no_ack.add if no_ack else self._no_ack.discard)(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002
        """Ask for messages, on the reading connection; the answer is read when it is there."""
        room = self.qos.can_consume_max_estimate()
        if self.reader.paced(len(self.qos._delivered), room):
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        kept = [queue for queue in queues if queue not in self._no_ack]
        if kept:
            self.lease.keep(kept)
        self._in_poll = self.client.connection
        self._brpop_sent_at = self.lease.reading[id(self)] = monotonic()
        self.reader.send(self.client.connection, list(queues), room)

    def _brpop_read(self, **_: Any) -> bool:
        try:
            entries = self.reader.receive(self.client.connection)
            self.lease.held.update(entry.tag for entry in entries)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self.lease.reading.pop(id(self), None)
            self._flush_brpop_reauth()
        for queue in self._expires.keys() & set(self._active_queues):
            self._maybe_update_queues_expire(None, queue)
        if not entries:
            raise Empty
        self._deliver_each(entries)
        return True

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu's name
        if type == "LISTEN":
            super()._poll_error(type, **options)
        else:
            self._brpop_read()

    def _deliver_each(self, entries: list[Entry]) -> None:
        """Deliver what there is room for and hand the rest back, also when a callback raises."""
        done = 0
        try:
            for entry in entries:
                if self._closing or not self.qos.can_consume():
                    break
                done += 1
                self._deliver_one(entry)
        finally:
            if done < len(entries):
                self.lease.hand_back(entry.tag for entry in entries[done:])

    def _deliver_one(self, entry: Entry) -> None:
        message = self._message(entry)
        if message is None:
            return
        self._queue_cycle.rotate(entry.queue)
        self.connection._deliver(message, entry.queue)
        if entry.queue in self._no_ack:
            self.lease.acks.add(entry.tag)

    def _message(self, entry: Entry) -> dict[str, Any] | None:
        """The message of an entry; None when it is none and was made a dead letter."""
        try:
            message = decoded(entry.text)
        except ValueError as error:
            self.qos.bury(entry.tag, f"malformed: {error}")
            return None
        message["properties"]["delivery_tag"] = entry.tag
        headers = message.get("headers")
        if isinstance(headers, dict) and entry.returns:
            headers["gm_returns"] = entry.returns
            message["properties"].setdefault("delivery_info", {})["redelivered"] = True
        if isinstance(headers, dict) and entry.revoked:
            # As if Celery had been told: a worker says so, and drops the task.
            revoked.add(headers.get("id"))
        return message

    def basic_get(self, queue: str, no_ack: bool = False, **_: Any) -> Any:
        """Take one message, without waiting; None when there is none."""
        lease = self.lease
        _, _, flat = lease.scripts.call("take", lease.consumer, 1, 0, 1, queue)
        if not flat:
            return None
        entry = Entry(flat[0].decode() if isinstance(flat[0], bytes) else flat[0], flat[1], int(flat[2]))
        lease.held.add(entry.tag)
        raw = self._message(entry)
        if raw is None:
            return None
        message = self.Message(raw, channel=self)
        if no_ack:
            lease.acks.add(entry.tag)
        else:
            lease.keep([queue])
            self.qos.append(message, entry.tag)
        return message

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002
        if (message := self.basic_get(queue, no_ack=True)) is None:
            raise Empty
        return message._raw

    # -- queues

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Note a binding; on a full server too, so that a worker that starts can drain it."""
        if self.typeof(exchange).type == "fanout" or queue in self._expires:
            # Remote control: it can wait for memory.
            with as_if_away(), suppress(OutOfMemoryError):
                super()._queue_bind(exchange, routing_key, pattern, queue)
        else:
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            sets = (self.keyprefix_queue % exchange, self.keyprefix_binding_permanent % exchange)
            self.scripts.call("bind", member, *sets)

    def _size(self, queue: str) -> int:
        return int(self.scripts.call("size", queue))

    def _purge(self, queue: str) -> int:
        return int(self.scripts.call("purge", queue, 0))

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return bool(self.scripts.client.exists(*(self._q_for_pri(queue, level) for level in self.priority_steps)))

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any) -> None:
        self.auto_delete_queues.discard(queue)
        member = self.sep.join([routing_key or "", pattern or "", queue or ""])
        with self.conn_or_acquire() as client:
            client.srem(self.keyprefix_queue % (exchange,), member)
            client.srem(self.keyprefix_binding_permanent % (exchange,), member)
        self.scripts.call("purge", queue, 1)

    def maybe_refresh_binding_expiry(self) -> None:
        """Keep the bindings of remote control's queues; a full server refuses that, and is asked again later."""
        try:
            super().maybe_refresh_binding_expiry()
        except ResponseError as error:
            if not refuses(error):
                raise
            self._binding_expiry_refreshed_at = self._bindings_swept_at = monotonic()

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ARG002
        self.qos.restore_by_tag(message.delivery_tag)

    def close(self) -> None:
        """Close the channel: what it holds goes back, what it has acknowledged is sent."""
        lease = self._lease if self._lease_pid == os.getpid() else None
        if not self.closed and lease is not None and self._qos is not None:
            self._qos.restore_unacked()
            lease.acks.flush()
        try:
            super().close()
        finally:
            if lease is not None:
                lease.reading.pop(id(self), None)
                lease.acks.flush()
