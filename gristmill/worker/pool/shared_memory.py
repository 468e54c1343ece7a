"""The memory that the processes of a pool share with their worker."""

import gc


def freeze() -> None:
    """Exempt all current objects from garbage collection, which would write to the memory that processes share."""
    gc.collect()
    gc.freeze()
