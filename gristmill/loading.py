"""Loads the modules of a process of ours without looking for garbage among them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import modules in this context: what they make stays to the end of the process.

    Python would search it for garbage again and again, which takes as long as a fifth of the imports. Afterwards all
    objects that there are by then are exempt from garbage collection.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
