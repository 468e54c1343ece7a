"""Which batch a command means."""

from broker.home import Home
from config import settings
from config.errors import InputError
from producer.batch import Batch, open_batch


def named_batch(name: str | None) -> Batch:
    """The batch called `name`, by default the one last submitted from this host.

    Raises:
        InputError: there is none.
    """
    chosen = name or Home(settings().home).last_batch
    if chosen is None:
        raise InputError("no batch was submitted from this host yet: name one (`gristmill batches` lists them)")
    return open_batch(chosen)
