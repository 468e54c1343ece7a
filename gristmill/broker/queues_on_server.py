"""A channel's queues on the server: their bindings, how many messages they have, how long they exist."""

from contextlib import suppress
from time import monotonic
from typing import Any

from redis.exceptions import OutOfMemoryError, ResponseError

from gristmill.broker.lists import Lists
from gristmill.broker.scripts import as_if_away
from gristmill.server.waiting import refuses


class QueuesOnServer(Lists):
    """A channel whose queues are streams with a consumer group, or lists."""

    def keep_queue(self, queue: str) -> None:
        """Let the time of a queue of streams that expires begin anew; while somebody uses it, it does not expire."""
        if queue in self.expiries:
            self.scripts.call("expire", queue=queue, expires=self.expiries[queue])

    def bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Store a binding; on a full server too, so that a worker that starts can drain it."""
        if self.typeof(exchange).type == "fanout" or queue in self.expiries:
            # Queues of remote control, which can wait for memory.
            with as_if_away(), suppress(OutOfMemoryError):
                super()._queue_bind(exchange, routing_key, pattern, queue)
        else:
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            sets = (self.keyprefix_queue % exchange, self.keyprefix_binding_permanent % exchange)
            self.scripts.call("bind", member=member, sets=sets)

    def waiting_messages(self, queue: str) -> int:
        """The number of messages that no worker has taken."""
        if self.is_list(queue):
            return int(super()._size(queue))
        return int(self.scripts.call("size", queue=queue))

    def drop_messages(self, queue: str) -> int:
        """Delete the messages that no worker has taken; return their number."""
        if self.is_list(queue):
            return int(super()._purge(queue))
        return int(self.scripts.call("purge", queue=queue, whole=False))

    def exists(self, queue: str, **_: Any) -> bool:
        """Whether the server has the queue."""
        name = self._q_for_pri if self.is_list(queue) else "gm1:q:{}:{}".format
        # kombu's client does not add the prefix to this command.
        keys = (f"{self.global_keyprefix}{name(queue, level)}" for level in self.priority_steps)
        return bool(self.scripts.client.exists(*keys))

    def delete_queue(self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any) -> None:
        """Delete a queue with its messages and its binding."""
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
            self.note_bindings_kept(monotonic())

    # kombu calls them by these names.
    _queue_bind, _size, _purge, _has_queue, _delete = bind, waiting_messages, drop_messages, exists, delete_queue
