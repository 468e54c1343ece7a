"""What is ahead of a batch that a command follows, looked up once a second."""

import time

from gristmill.batches.info import BatchInfo
from gristmill.config.settings import settings
from gristmill.fleet.outlook import Outlook, Outlooks
from gristmill.server.connection import client, reaching

#: Seconds between two looks: workers tell as often.
LOOK_SECONDS = 1.0


class OutlookWatch:
    """Looks at the outlook of batches, the same ones each time."""

    def __init__(self, *, inputs: bool = False) -> None:
        self._inputs = inputs
        self._outlooks = Outlooks(client(), settings())
        self._looked_at = -LOOK_SECONDS
        self._latest: dict[str, Outlook] = {}

    def look(self, *infos: BatchInfo) -> dict[str, Outlook]:
        """The outlook of each batch, by its name; that of the last second may do."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            with reaching():
                self._latest = self._outlooks.of([info for info in infos if info.left], inputs=self._inputs)
        return self._latest
