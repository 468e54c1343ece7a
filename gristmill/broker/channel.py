"""The channel: kombu's for Redis, with streams: one step takes a message and writes down who has it."""

import os
from contextlib import suppress
from queue import Empty
from time import monotonic
from typing import Any

from celery.worker.state import revoked
from kombu.log import get_logger
from kombu.transport import redis as stock
from redis.exceptions import OutOfMemoryError, ResponseError

from gristmill.broker import revokes
from gristmill.broker.lists import SHARED_SECONDS, Lists
from gristmill.broker.messages import encoded, timed, uncertain
from gristmill.broker.qos import QoS
from gristmill.broker.reader import Entry, decoded
from gristmill.broker.scripts import as_if_away
from gristmill.broker.tags import on_stream
from gristmill.server.connection import refuses

logger = get_logger(__name__)


class Channel(Lists):
    """A channel whose queues are streams with a consumer group. Fanout, bindings and connections are kombu's."""

    QoS = QoS
    #: A body is text and needs no base64.
    body_encoding = None
    #: Whether to take what stock senders have put on the lists of our queues.
    take_lists = False
    from_transport_options = (*stock.Channel.from_transport_options, "protocol", "stock_queues", "take_lists")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._no_ack: set[str] = set()
        #: Whether the outstanding read is one of lists.
        self._on_lists = False
        super().__init__(*args, **kwargs)

    def _q_for_pri(self, queue: str, pri: int) -> str:
        if self.is_list(queue):
            return str(super()._q_for_pri(queue, pri))
        return f"{self.global_keyprefix}gm1:q:{queue}:{self.priority(pri)}"

    def _keys(self, queue: str) -> list[str]:
        """The whole names of the queue's keys; kombu's client adds the prefix to some commands only."""
        prefix = self.global_keyprefix if self.is_list(queue) else ""
        return [prefix + self._q_for_pri(queue, level) for level in self.priority_steps]

    # -- putting

    def _put(self, queue: str, message: dict[str, Any], _publish_batch: Any = None, **_: Any) -> None:
        if self.is_list(queue):
            self._put_on_list(queue, message, _publish_batch)
            return
        level = self._get_message_priority(message, reverse=False)
        message, wait = timed(message)
        body = encoded(message)
        if wait > 0:
            arguments = {"queue": queue, "level": level, "wait": int(wait * 1000), "message": body}
            if _publish_batch is None:
                with uncertain():
                    self.scripts.call("delay", **arguments)
            else:
                _, *flat = self.scripts.flat("delay", **arguments)
                _publish_batch.add("eval", self.scripts.source("delay").text, *flat)
            return
        key = f"{self.global_keyprefix}gm1:q:{queue}:{level}"
        if _publish_batch is not None:
            _publish_batch.add("execute_command", "XADD", key, "*", "m", body)
            if queue in self._expires:
                # kombu's pipeline adds the prefix to this command.
                _publish_batch.add("pexpire", key.removeprefix(self.global_keyprefix), self._expires[queue])
            return
        with self.conn_or_acquire() as client, uncertain():
            client.execute_command("XADD", key, "*", "m", body)
        self._maybe_update_queues_expire(None, queue)

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any) -> None:
        """Publish a broadcast; store a revoke first, for workers that do not listen."""
        if exchange.endswith(".pidbox"):
            revokes.remember(self.scripts, message)
        super()._put_fanout(exchange, message, routing_key, **kwargs)

    def encode_body(self, body: Any, encoding: str | None = None) -> tuple[Any, str | None]:
        """Leave text as it is, and make base64 of bytes."""
        if isinstance(body, bytes):
            encoding = encoding or "base64"
        body, encoding = super().encode_body(body, encoding)
        return body, encoding

    def _maybe_update_queues_expire(self, client: Any, queue: str) -> None:  # noqa: ARG002
        if queue in self._expires:
            with self.scripts.client.pipeline(transaction=False) as pipe:
                for key in self._keys(queue):
                    pipe.pexpire(key, self._expires[queue])
                pipe.pexpire(f"{self.global_keyprefix}gm1:lease:{queue}", self._expires[queue])
                pipe.execute()

    # -- taking

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume from `queue`."""
        (self._no_ack.add if no_ack else self._no_ack.discard)(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send a request for messages on the reading connection."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        lists = [queue for queue in queues if self.is_list(queue)]
        streams = [queue for queue in queues if queue not in lists] if lists else list(queues)
        # By turns, if the channel has both.
        self._on_lists = bool(lists) and not (streams and self._on_lists)
        if self._on_lists:
            self._start_reading_lists(lists, SHARED_SECONDS if streams else self.brpop_timeout)
        elif streams:
            self._start_reading_streams(streams, SHARED_SECONDS if lists else self.brpop_timeout)

    def _start_reading_streams(self, queues: list[str], timeout: float) -> None:
        room = self.qos.can_consume_max_estimate()
        if self.reader.paced(len(self.qos._delivered), room):
            return
        leased = [queue for queue in queues if queue not in self._no_ack]
        if leased:
            self.lease.keep(leased, self.take_lists)
        self._in_poll = self.client.connection
        self._brpop_sent_at = self.lease.reading[id(self)] = monotonic()
        self.reader.send(self.client.connection, queues, room, int(timeout * 1000))

    def _brpop_read(self, **options: Any) -> bool:
        if self._on_lists:
            return bool(super()._brpop_read(**options))
        try:
            entries = self.reader.receive(self.client.connection)
            self.lease.holding.update(entry.tag for entry in entries)
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
        """Deliver the messages that there is room for, and hand the rest back, even if a callback raises."""
        count = 0
        try:
            for entry in entries:
                if self._closing or not self.qos.can_consume():
                    break
                count += 1
                self._deliver_one(entry)
        finally:
            if count < len(entries):
                self.lease.hand_back(entry.tag for entry in entries[count:])

    def _deliver_one(self, entry: Entry) -> None:
        message = self._message(entry)
        if message is None:
            return
        self._queue_cycle.rotate(entry.queue)
        self.connection._deliver(message, entry.queue)
        if entry.queue in self._no_ack:
            self.lease.acks.add(entry.tag)

    def _message(self, entry: Entry) -> dict[str, Any] | None:
        """The message of an entry; None if it became a dead letter, or is not due yet."""
        try:
            message = decoded(entry.text)
        except ValueError as error:
            self.qos.bury(entry.tag, f"malformed: {error}")
            return None
        message["properties"]["delivery_tag"] = entry.tag
        # A stock sender leaves the time in the message; ours have it in the server.
        message, wait = timed(message)
        if wait > 0:
            self.qos.postpone(entry.tag, wait)
            return None
        headers = message.get("headers")
        if not isinstance(headers, dict):
            return message
        if entry.returns:
            headers["gm_returns"] = entry.returns
            message["properties"].setdefault("delivery_info", {})["redelivered"] = True
        if entry.revoked:
            # Celery's worker then logs the revoke and drops the task.
            revoked.add(headers.get("id"))
        return message

    def basic_get(self, queue: str, no_ack: bool = False, **_: Any) -> Any:
        """Take one message without waiting; None if there is none."""
        if self.is_list(queue):
            return super().basic_get(queue, no_ack)
        lease = self.lease
        _, _, flat = lease.scripts.call(
            "take", consumer=lease.consumer, credit=1, create=False, queues=[queue], tags=[]
        )
        if not flat:
            return None
        entry = Entry(flat[0].decode() if isinstance(flat[0], bytes) else flat[0], flat[1], int(flat[2]))
        lease.holding.add(entry.tag)
        raw = self._message(entry)
        if raw is None:
            return None
        message = self.Message(raw, channel=self)
        if no_ack:
            lease.acks.add(entry.tag)
        else:
            lease.keep([queue], self.take_lists)
            self.qos.append(message, entry.tag)
        return message

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ARG002
        if self.is_list(queue):
            return super()._get(queue)
        if (message := self.basic_get(queue, no_ack=True)) is None:
            raise Empty
        return message._raw

    # -- queues

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Store a binding; on a full server too, so that a worker that starts can drain it."""
        if self.typeof(exchange).type == "fanout" or queue in self._expires:
            # Queues of remote control, which can wait for memory.
            with as_if_away(), suppress(OutOfMemoryError):
                super()._queue_bind(exchange, routing_key, pattern, queue)
        else:
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            sets = (self.keyprefix_queue % exchange, self.keyprefix_binding_permanent % exchange)
            self.scripts.call("bind", member=member, sets=sets)

    def _size(self, queue: str) -> int:
        if self.is_list(queue):
            return int(super()._size(queue))
        return int(self.scripts.call("size", queue=queue))

    def _purge(self, queue: str) -> int:
        if self.is_list(queue):
            return int(super()._purge(queue))
        return int(self.scripts.call("purge", queue=queue, whole=False))

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return bool(self.scripts.client.exists(*self._keys(queue)))

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any) -> None:
        if self.is_list(queue):
            super()._delete(queue, exchange, routing_key, pattern)
            return
        self.auto_delete_queues.discard(queue)
        member = self.sep.join([routing_key or "", pattern or "", queue or ""])
        with self.conn_or_acquire() as client:
            client.srem(self.keyprefix_queue % (exchange,), member)
            client.srem(self.keyprefix_binding_permanent % (exchange,), member)
        self.scripts.call("purge", queue=queue, whole=True)

    def maybe_refresh_binding_expiry(self) -> None:
        """Keep the bindings of remote control's queues; if a full server refuses that, try again later."""
        try:
            super().maybe_refresh_binding_expiry()
        except ResponseError as error:
            if not refuses(error):
                raise
            self._binding_expiry_refreshed_at = self._bindings_swept_at = monotonic()

    def _restore(self, message: Any, leftmost: bool = False) -> None:  # noqa: ARG002
        if not on_stream(message.delivery_tag):
            self._put_on_list(message.delivery_info["routing_key"], message.serializable())
            return
        self.qos.restore_by_tag(message.delivery_tag)

    def close(self) -> None:
        """Close the channel: hand its messages back and send its acknowledgements."""
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
