"""Which batch a command means."""

from gristmill.config import settings
from gristmill.errors import InputError
from gristmill.producer.batch import Batch, open_batch
from gristmill.server.home import Home


def named_batch(name: str | None) -> Batch:
    """The batch called `name`, by default the one last submitted from this host.

    Raises:
        InputError: there is none.
    """
    chosen = name or Home(settings().home).last_batch
    if chosen is None:
        raise InputError("no batch was submitted from this host yet: name one (`gristmill batches` lists them)")
    return open_batch(chosen)
