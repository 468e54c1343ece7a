"""The books of failovers: what callers were told in one round, and the comparison of it with the server."""

import json
import threading
from collections import Counter
from contextlib import suppress

from redis.exceptions import RedisError

from benchmarks.chaos.count import Count
from gristmill import open_batch
from gristmill.batches.result import Result
from gristmill.errors import GristmillError, InputError
from gristmill.server.connection import client
from gristmill.server.replies import stream_entries

#: Items of a batch.
ITEMS = 400
#: Seconds for a batch to end.
PATIENCE = 60.0


class Books:
    """What callers were told in one round. Threads share it."""

    def __init__(self, number: int) -> None:
        self.queue = f"parked{number}"
        self.lock = threading.Lock()
        #: Numbers of the messages whose call returned.
        self.messages: list[int] = []
        #: Batches whose `submit` returned, and what readers were shown of them.
        self.batches: dict[str, dict[int, Result]] = {}

    def check(self, count: Count) -> None:
        """Compare the books with the server; note what it lacks."""
        here = self._stored_messages()
        missing = [number for number in self.messages if not here[number]]
        if missing:
            count.broken.append(f"{len(missing)} messages lost")
        count.lost += len(missing)
        self.messages = [number for number in self.messages if here[number]]
        for name, results in list(self.batches.items()):
            self._check_batch(name, results, count)

    def _check_batch(self, name: str, results: dict[int, Result], count: Count) -> None:
        try:
            batch = open_batch(name)
            info = batch.wait(PATIENCE)
            recorded = list(batch.results(follow=False))
        except InputError:
            count.lost += ITEMS
            count.broken.append(f"{name} is gone")
            del self.batches[name]
            return
        except TimeoutError:
            left = open_batch(name).info().left
            count.left += left
            count.broken.append(f"{name}: {left} items left after {PATIENCE:g} s")
            return
        again = [index for index, times in Counter(result.index for result in recorded).items() if times > 1]
        other = [result for result in recorded if results.get(result.index, result) != result]
        lost = ITEMS - len(recorded)
        count.lost += lost + len(other)
        count.duplicates += info.duplicates
        for text, number in (("items lost", lost), ("results changed", len(other)), ("recorded twice", len(again))):
            if number:
                count.broken.append(f"{name}: {number} {text}")
        if info.submitted != ITEMS or info.succeeded + info.failed + info.dead + info.cancelled != ITEMS:
            count.broken.append(f"{name}: its counters do not add up")

    def _stored_messages(self) -> Counter[int]:
        """The messages on the queue, by number."""
        messages = (fields["m"] for _, fields in stream_entries(client(), f"gm1:q:{self.queue}:0", 5000))
        return Counter(json.loads(json.loads(message)["body"])[0][0] for message in messages)

    def close(self, count: Count) -> None:
        """Count what the books have, and delete it from the server."""
        number = len(self.messages) + ITEMS * len(self.batches)
        count.submitted += number
        count.done += number
        with suppress(RedisError, GristmillError):
            client().unlink(f"gm1:q:{self.queue}:0")
            for name in self.batches:
                open_batch(name).delete()
