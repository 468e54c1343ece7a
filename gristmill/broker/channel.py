"""The channel: kombu's for Redis, with streams: one step takes a message and writes down who has it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from time import sleep
from typing import Any

from celery.worker.state import revoked
from kombu.log import get_logger
from redis import Redis

from gristmill.broker import revokes
from gristmill.broker.delivery import Message
from gristmill.broker.kombu_internals import loop_of_this_thread
from gristmill.broker.lists import SHARED_SECONDS
from gristmill.broker.messages import encoded, level_of, mark_redelivered, put_of, seconds_on_server, uncertain
from gristmill.broker.qos import QoS
from gristmill.broker.queues_on_server import QueuesOnServer
from gristmill.broker.reader import TAKE_MOST, Entry, decoded
from gristmill.broker.scripts import TransportScripts
from gristmill.broker.senders import NEVER_REPEATED, Token, token_of
from gristmill.config.settings import settings
from gristmill.server.confirm import ConfirmedLot, confirmed

logger = get_logger(__name__)


class Channel(QueuesOnServer):
    """A channel whose queues are streams with a consumer group. Fanout, bindings and connections are kombu's."""

    QoS = QoS
    Message = Message
    #: A body is text and needs no base64.
    body_encoding = None
    #: Whether to take what stock senders have put on the lists of our queues.
    take_lists = False
    from_transport_options = (*QueuesOnServer.from_transport_options, "protocol", "stock_queues", "take_lists")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._no_ack: set[str] = set()
        #: Queues of which the server knows from this channel that they expire.
        self._expiring: set[str] = set()
        #: Whether the outstanding read is one of lists.
        self._on_lists = False
        self._captured: list[dict[str, Any]] | None = None
        super().__init__(*args, **kwargs)

    # -- putting

    def basic_publish(self, message: dict[str, Any], exchange: str, routing_key: str, **options: Any) -> Any:
        """Publish a message; kombu calls this again when the connection breaks meanwhile."""
        if options.get("_publish_batch") is not None:
            # kombu sends such a batch once.
            return super().basic_publish(message, exchange, routing_key, **options)
        with token_of(message["properties"]) as token:
            return super().basic_publish(message, exchange, routing_key, gm_token=token, **options)

    def put_message(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        """Put a message on a queue, in kombu's publishing batch if there is one."""
        if self._captured is not None:
            self._captured.append(message)
            return
        batch, token = options.get("_publish_batch"), options.get("gm_token", NEVER_REPEATED)
        if self.is_list(queue):
            self._put_on_list(queue, message, batch)
            return
        level = level_of(message)
        wait, body = seconds_on_server(message), encoded(message)
        if batch is None:
            self.put_texts(queue, level, [body], token, wait)
            return
        if wait > 0:
            _, *flat = self.scripts.flat("put", **put_of(queue, level, [body], token, wait))
            batch.add("eval", self.scripts.source("put").text, *flat)
            return
        key = f"{self.global_keyprefix}gm1:q:{queue}:{level}"
        batch.add("execute_command", "XADD", key, "*", "m", body)
        if queue in self.expiries:
            _, *flat = self.scripts.flat("expire", queue=queue, expires=self.expiries[queue])
            batch.add("eval", self.scripts.source("expire").text, *flat)

    def put_texts(self, queue: str, level: int, texts: list[str], token: Token, wait: float = 0.0) -> None:
        """Put messages, as their texts, in one call, due in `wait` seconds; a repeated token puts nothing.

        Raises:
            ServerError: too few replicas have confirmed the messages in time. They are on the queue, and may be lost.
            RedisError: the server cannot be reached, or refuses.
        """

        def put(client: Redis) -> None:
            scripts = TransportScripts(client, self.global_keyprefix)
            scripts.call("put", **put_of(queue, level, texts, token, wait))

        with uncertain():
            confirmed(self.scripts.client, settings(), put)
        self.keep_queue(queue)

    @contextmanager
    def captured(self) -> Iterator[list[dict[str, Any]]]:
        """The messages that are published on the channel meanwhile, of which none is put or sent."""
        messages: list[dict[str, Any]] = []
        self._captured = messages
        try:
            yield messages
        finally:
            self._captured = None

    def broadcast(self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any) -> None:
        """Publish a broadcast; store a revoke first, for workers that do not listen."""
        if self._captured is not None:
            self._captured.append(message)
            return
        if exchange.endswith(".pidbox"):
            revokes.remember(self, message)
        super()._put_fanout(exchange, message, routing_key, **kwargs)

    def encode_body(self, body: Any, encoding: str | None = None) -> tuple[Any, str | None]:
        """Leave text as it is, and make base64 of bytes."""
        body, encoding = super().encode_body(body, encoding or ("base64" if isinstance(body, bytes) else None))
        return body, encoding

    def create_publish_batch(self, max_size: int) -> Any:
        """A lot of messages, which `Producer.batch` puts together, in one round trip."""
        batch = super().create_publish_batch(max_size)
        if settings().confirm_replicas:
            batch.pipeline = ConfirmedLot(batch.pipeline, self.pool)
        return batch

    # -- taking

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume from `queue`; the next read asks for its messages too."""
        (self._no_ack.add if no_ack else self._no_ack.discard)(queue)
        answer = super().basic_consume(queue, no_ack, *args, **kwargs)
        self.leave_request()
        return answer

    def start_reading(self) -> None:
        """Send a request for messages on the reading connection."""
        queues = self.in_turn()
        lists = [queue for queue in queues if self.is_list(queue)]
        streams = [queue for queue in queues if queue not in lists] if lists else list(queues)
        # By turns, if the channel has both.
        self._on_lists = bool(lists) and not (streams and self._on_lists)
        if self._on_lists:
            self._start_reading_lists(lists, SHARED_SECONDS if streams else self.connection.brpop_timeout)
        elif streams:
            self._start_reading_streams(streams, SHARED_SECONDS if lists else self.read_seconds)

    def _start_reading_streams(self, queues: list[str], timeout: float, undelivered: int = 0) -> None:
        room = self.qos.can_consume_max_estimate() if loop_of_this_thread() else 1
        if room is not None and (room := room - undelivered) <= 0:
            return
        if self.reader.paced(len(self.qos.delivered) + undelivered, room):
            return
        for queue in self.expiries.keys() & set(queues) - self._expiring:
            # From now on our lease keeps the queue.
            self.keep_queue(queue)
            self._expiring.add(queue)
        if leased := [queue for queue in queues if queue not in self._no_ack]:
            self.lease.keep(leased, self.take_lists)
        self.lease.reading[id(self)] = self.note_request(timeout)
        self.reader.send(self.client.connection, queues, room, timeout)

    def finish_reading(self, **options: Any) -> bool:
        """Read the answer to `start_reading`, and deliver what it has; `drain_events` raises Empty if it is empty."""
        if self._on_lists:
            return bool(super()._brpop_read(**options))
        try:
            entries = self.reader.receive(self.client.connection)
            self.lease.holding.update(entry.tag for entry in entries)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self.lease.reading.pop(id(self), None)
            self.note_answer()
        if self._deliver_each(entries):
            if len(entries) == 1:
                # Else the thread that runs it waits for the GIL until this one has nothing to do.
                sleep(0)
            return True
        if self.is_draining:
            raise Empty
        return False

    def finish_after_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu's name
        """Read an answer from a connection on which the event loop has seen an error."""
        if type == "LISTEN":
            super()._poll_error(type, **options)
        else:
            self.finish_reading()

    def _deliver_each(self, entries: list[Entry]) -> int:
        """Deliver the messages that there is room for, and hand the rest back, even if a callback raises.

        Without an event loop, which asks for messages again and again, each read delivers one, as in kombu: a program
        calls `drain_events` when it wants the next message, and others may have those that it does not come to.
        Answers the number of messages that were delivered.
        """
        count = delivered = 0
        most = len(entries) if loop_of_this_thread() else 1
        try:
            if len(entries) == most == TAKE_MOST and self.qos.can_consume() and not self.is_closing:
                self._read_on(len(entries))
            for entry in entries:
                if self.is_closing or delivered == most or not self.qos.can_consume():
                    break
                count += 1
                delivered += self._deliver_one(entry)
        finally:
            if count < len(entries):
                self.lease.hand_back((entry.tag for entry in entries[count:]), unseen=True)
        return delivered

    def _read_on(self, undelivered: int) -> None:
        """Ask for more where there are many: the server answers while this process delivers those that have come."""
        if (queues := self.in_turn()) and not any(map(self.is_list, queues)):
            self._start_reading_streams(queues, self.read_seconds, undelivered)

    def _deliver_one(self, entry: Entry) -> bool:
        if (message := self._message(entry)) is None:
            return False
        self.note_turn(queue := entry.queue)
        self.deliver(message, queue)
        if queue in self._no_ack:
            self.lease.acks.add(entry.tag)
        return True

    def _message(self, entry: Entry) -> dict[str, Any] | None:
        """The message of an entry; None if it became a dead letter, or is not due yet."""
        try:
            message = decoded(entry.text)
        except ValueError as error:
            self.qos.bury(entry.tag, f"malformed: {error}")
            return None
        message["properties"]["delivery_tag"] = entry.tag
        # The message of a stock sender has not waited; a clock here may be behind the server's, by which ours have.
        if not entry.mark and (wait := seconds_on_server(message)) > 0:
            self.qos.postpone(entry.tag, wait)
            return None
        if entry.deliveries:
            mark_redelivered(message)
        message["returns"] = entry.returns
        if entry.mark == "revoked":
            # Celery's worker then logs the revoke and drops the task.
            revoked.add(message["headers"].get("id"))
        return message

    def basic_get(self, queue: str, no_ack: bool = False, **_: Any) -> Any:
        """Take one message without waiting; None if there is none."""
        if self.is_list(queue):
            return super().basic_get(queue, no_ack)
        if (raw := self._take_one(queue)) is None:
            return None
        message, tag = self.Message(raw, channel=self), raw["properties"]["delivery_tag"]
        if no_ack:
            self.lease.acks.add(tag)
        else:
            self.lease.keep([queue], self.take_lists)
            self.qos.append(message, tag)
        return message

    def _take_one(self, queue: str) -> dict[str, Any] | None:
        return self._message(entry) if (entry := self.reader.take_one(queue)) else None

    def take_now(self, queue: str) -> Any:
        """Take a message without waiting, as a dict; raise Empty if there is none."""
        if self.is_list(queue):
            return super()._get(queue)
        if (raw := self._take_one(queue)) is None:
            raise Empty
        self.lease.acks.add(raw["properties"]["delivery_tag"])
        return raw

    def give_back(self, message: Any) -> None:
        """Put a delivered message back on the list that it came from."""
        self._put_on_list(message.delivery_info["routing_key"], message.serializable())

    def close(self) -> None:
        """Close the channel: hand its messages back and send its acknowledgements."""
        lease = self._lease if self._lease_pid == os.getpid() else None
        if not self.closed and lease is not None and self.has_delivered:
            self.qos.restore_unacked()
            lease.acks.flush()
        try:
            super().close()
        finally:
            if lease is not None:
                lease.reading.pop(id(self), None)
                self.give_up_reading()
                lease.acks.flush()

    # kombu calls them by these names.
    _put, _put_fanout, _get = put_message, broadcast, take_now
    _brpop_start, _brpop_read, _poll_error = start_reading, finish_reading, finish_after_error
