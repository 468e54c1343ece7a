"""The memory that the processes of a pool share with their worker."""

import gc
import sys

#: Python's name for it since 3.13, and the one before.
_clear_caches = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache


def freeze() -> None:
    """Have the processes that are forked from this one write to less of the memory that they share with it.

    All current objects are exempt from garbage collection, which would write to each. And the cache of attributes is
    empty: what takes a place there in a process would write to the name that it displaces.
    """
    gc.collect()
    gc.freeze()
    _clear_caches()
