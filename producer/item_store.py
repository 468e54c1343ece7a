"""Where a feeder stores the blocks of its items: the ledger of batches, an append, or a schedule."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from redis import Redis

from gristmill.config.settings import Settings


class ItemStore(Protocol):
    """What a feeder calls; each call raises as the methods of `Ledger` do, and may be repeated."""

    @property
    def client(self) -> Redis: ...
    @property
    def settings(self) -> Settings: ...
    def through(self, client: Redis, /) -> "ItemStore":
        """The same store, called through another client."""

    def items(self, batch: str, /) -> Iterator[tuple[int, str]]:
        """Those of the stored items that can be compared with the input: each with its index."""

    def append(self, batch: str, token: str, first: int, items: Sequence[str], sha: str, values: str = "", /) -> None:
        """Store a block; `values` has what limits by value know its items by, where the store keeps that."""

    def has_block(self, batch: str, token: str, after: int, sha: str, /) -> bool:
        """Whether the items before index `after`, with that SHA-256, are stored; a full server tells that too."""

    def producer_heartbeat(self, batch: str, token: str, /) -> None:
        """Say that the producer lives."""

    def let_go(self, batch: str, token: str, /) -> None:
        """Let another producer continue at once."""

    def end(self, batch: str, token: str, rejected: int, /) -> None:
        """Say that the input has ended."""
