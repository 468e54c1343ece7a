"""All rows of the tables: peers, tools for lists, and limits."""

from benchmarks.peers.catalog import PEERS
from benchmarks.peers.limits import LIMITS, Ceiling
from benchmarks.peers.lists import LISTS
from benchmarks.peers.peer import Peer
from benchmarks.peers.rounds import Figures, Size, play

Row = Peer | Ceiling
ROWS: tuple[Row, ...] = (*PEERS, *LISTS, *LIMITS)


def measured(row: Row, workload: str, size: Size) -> Figures:
    """One round. Raises as `play` does."""
    return play(row, workload, size) if isinstance(row, Peer) else row.rounds[workload](size)
