"""Queues that are lists, as stock kombu keeps them: for replies, and for the workers of stock Celery beside us."""

import re
from bisect import bisect
from collections.abc import Collection
from typing import Any

from kombu.transport import redis as stock

from gristmill.broker.link import Link
from gristmill.broker.messages import encoded, level_of, uncertain

#: The name of a queue for the results of `rpc://`: a UUID.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Seconds of a blocking read on a channel that waits for streams as well.
SHARED_SECONDS = 0.1


class Lists(Link):
    """A channel's list queues. Taking a message from a list removes it, so nobody has to acknowledge it."""

    #: Names of further queues that are lists, since stock workers take their messages.
    stock_queues: Collection[str] = ()

    def is_list(self, queue: str) -> bool:
        """Whether the queue is a list: one for replies (remote control, `rpc://`), or a stock one."""
        reply = queue.endswith(".pidbox") or (len(queue) == 36 and _UUID.fullmatch(queue) is not None)
        return reply or queue in self.stock_queues

    def _put_on_list(self, queue: str, message: dict[str, Any], batch: Any = None) -> None:
        level = level_of(message)
        steps = stock.Channel.priority_steps
        key, text = self._q_for_pri(queue, steps[bisect(steps, level) - 1]), encoded(message)
        if batch is not None:
            batch.add("lpush", key, text)
            if queue in self.expiries:
                batch.add("pexpire", key, self.expiries[queue])
            return
        with self.conn_or_acquire() as client:
            with uncertain():
                client.lpush(key, text)
            self._maybe_update_queues_expire(client, queue)

    def _start_reading_lists(self, queues: list[str], timeout: float) -> None:
        keys = [
            f"{self.global_keyprefix}{self._q_for_pri(each, level)}" for level in self.priority_steps for each in queues
        ]
        self.note_request(timeout)
        self.client.connection.send_command("BRPOP", *keys, timeout)
