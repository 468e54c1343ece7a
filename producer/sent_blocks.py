"""The blocks of items that a producer has sent and replicas may not have yet: several are confirmed together."""

from functools import partial
from typing import NamedTuple

from gristmill.batches.feed import AlreadyFeeding
from gristmill.producer.item_store import ItemStore
from gristmill.server.confirm import confirmed_later

#: Blocks of which one confirmation serves all: each waits for the disks of all replicas.
TOGETHER = 8


class Block(NamedTuple):
    """Items that are stored together: the index of the first, and the SHA-256 of all items up to the last."""

    first: int
    items: list[str]
    sha: str
    size: int
    #: What limits by value know the items by.
    values: str = ""


class SentBlocks:
    """Sends the blocks of one batch in their order; keeps those that a failover can take back, and sends these again.

    The server stores a block only behind the one before it. So a block that it stores, or has, proves that it has all
    before.
    """

    def __init__(self, batch: str, token: str) -> None:
        self._batch, self._token = batch, token
        self._open: list[Block] = []

    def send(self, store: ItemStore, block: Block) -> None:
        """Store the next block; each eighth one is confirmed, and with it those before it.

        Raises:
            GristmillError, RedisError: as `ItemStore.append`. The same call again goes on.
        """
        blocks = [*self._open, block]
        if store.settings.confirm_replicas and len(blocks) < TOGETHER:
            with confirmed_later():
                self._append(store, blocks)
            self._open = blocks
        else:
            self._append(store, blocks)
            self._open = []

    def settle(self, store: ItemStore) -> None:
        """Have all that was sent confirmed: nobody is told before that it is stored. Raises as `send`."""
        if self._open:
            # To store it again would need room, and a full server may have had just enough for it.
            last = self._open[-1]
            if not store.has_block(self._batch, self._token, last.first + len(last.items), last.sha):
                self._append(store, self._open)
        self._open = []

    def _append(self, store: ItemStore, blocks: list[Block]) -> None:
        """Store the last of the blocks, which may be there already."""
        *before, block = blocks
        call = partial(store.append, self._batch, self._token, block.first, block.items, block.sha, block.values)
        try:
            call()
        except AlreadyFeeding:
            if not before:
                raise
            # Another primary may lack what was not confirmed.
            self._append(store, before)
            call()
