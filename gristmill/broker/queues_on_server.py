"""A channel's queues on the server: their keys, their bindings, how many messages they have, how long they exist."""

from contextlib import suppress
from time import monotonic

from redis.exceptions import OutOfMemoryError, ResponseError

from gristmill.broker.lists import Lists
from gristmill.broker.scripts import as_if_away
from gristmill.server.waiting import refuses


class QueuesOnServer(Lists):
    """A channel whose queues are streams with a consumer group, or lists."""

    def key_of(self, queue: str, level: int) -> str:
        """The key of a queue's messages of one priority, without the prefix."""
        if self.is_list(queue):
            return str(super().key_of(queue, level))
        return f"{self.global_keyprefix}gm1:q:{queue}:{self.priority(level)}"

    def _keys(self, queue: str) -> list[str]:
        """The whole names of the queue's keys; kombu's client adds the prefix to some commands only."""
        prefix = self.global_keyprefix if self.is_list(queue) else ""
        return [prefix + self.key_of(queue, level) for level in self.priority_steps]

    def keep_queue(self, queue: str) -> None:
        """Let the time of a queue with an expiry begin anew; while somebody uses it, it does not expire."""
        if queue not in self.expiries:
            return
        if self.is_list(queue):
            super().keep_queue(queue)
        else:
            self.scripts.call("expire", queue=queue, expires=self.expiries[queue])

    def bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Store a binding; on a full server too, so that a worker that starts can drain it."""
        if self.typeof(exchange).type == "fanout" or queue in self.expiries:
            # Queues of remote control, which can wait for memory.
            with as_if_away(), suppress(OutOfMemoryError):
                super().bind(exchange, routing_key, pattern, queue)
        else:
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            sets = (self.keyprefix_queue % exchange, self.keyprefix_binding_permanent % exchange)
            self.scripts.call("bind", member=member, sets=sets)

    def waiting_messages(self, queue: str) -> int:
        """The number of messages that no worker has taken."""
        if self.is_list(queue):
            return super().waiting_messages(queue)
        return int(self.scripts.call("size", queue=queue))

    def drop_messages(self, queue: str) -> int:
        """Delete the messages that no worker has taken; return their number."""
        if self.is_list(queue):
            return super().drop_messages(queue)
        return int(self.scripts.call("purge", queue=queue, whole=False))

    def exists(self, queue: str) -> bool:
        """Whether the server has the queue."""
        return bool(self.scripts.client.exists(*self._keys(queue)))

    def delete_queue(self, queue: str, exchange: str, routing_key: str, pattern: str) -> None:
        """Delete a queue with its messages and its binding."""
        if self.is_list(queue):
            super().delete_queue(queue, exchange, routing_key, pattern)
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
