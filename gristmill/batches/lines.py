"""What items write while they run: workers say it, and commands listen."""

from collections.abc import Iterable

from gristmill.batches.scripts import BatchScripts

#: The text of one item's output, by index.
Lines = list[tuple[int, str]]


class LineChannel(BatchScripts):
    """The way from workers to those who listen. Nothing is stored for long, and without listeners nothing at all."""

    def say(self, batch: str, lines: Iterable[tuple[int, str]]) -> bool:
        """Tell who listens to the batch; whether anybody does."""
        return bool(self._call("say", batch=batch, lines=[part for line in lines for part in line]))

    def listen(self, batch: str, after: str) -> tuple[str, Lines]:
        """What was said since `after`, at first `0-0`, and the next `after`. Workers go on to say it for 5 seconds."""
        after, entries = self._call("listen", batch=batch, after=after)
        pairs = ((entry[i], entry[i + 1]) for entry in entries for i in range(0, len(entry), 2))
        return after, [(int(index), text) for index, text in pairs]
