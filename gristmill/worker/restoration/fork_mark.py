"""A mark by which a process knows that it is a copy of another one, whoever has forked it: Python or C code."""

import mmap
import sys
from os import getpid

#: Linux (4.14): the pages are full of zeros in a forked process. The module `mmap` does not name it.
_WIPE_ON_FORK = 18


class _ByPid:
    def __init__(self) -> None:
        self._pid = getpid()

    def __getitem__(self, _: int) -> int:
        return int(getpid() == self._pid)


#: `mark[0]` is 1 in the process that made the mark, and 0 in each copy of it.
ForkMark = mmap.mmap | _ByPid | bytes


def fork_mark() -> ForkMark:
    """A new mark. Where the system can, a look takes a tenth of a call of `getpid`."""
    if sys.platform == "linux":
        page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            page.madvise(_WIPE_ON_FORK)
        except OSError:
            page.close()
        else:
            page[0] = 1
            return page
    return _ByPid()
