"""What the items of a batch write, on a terminal, as they write it."""

import sys
from contextlib import suppress
from typing import Self

from redis.exceptions import RedisError

from gristmill.batches.lines import LineChannel
from gristmill.cli.console import Quiet, on_terminal, say
from gristmill.config.figures import printable
from gristmill.config.settings import settings
from gristmill.server.connection import client


class ItemLines:
    """Prints on stderr each line that an item of the batch writes, behind the item's index."""

    def __init__(self, batch: str) -> None:
        self._batch, self._after = batch, "0-0"
        self._channel = LineChannel(client(), settings())

    @classmethod
    def on_terminal(cls, batch: str) -> Self | None:
        """Listen to a batch from now on, before its first item runs; None unless stderr is a terminal."""
        if Quiet.on or not on_terminal(sys.stderr):
            return None
        lines = cls(batch)
        lines.look()
        return lines

    def look(self) -> None:
        """Print what is new."""
        with suppress(RedisError):
            self._after, texts = self._channel.listen(self._batch, self._after)
            for index, text in texts:
                for line in text.splitlines():
                    say(f"{index} | {printable(line.expandtabs())}", "dim")
