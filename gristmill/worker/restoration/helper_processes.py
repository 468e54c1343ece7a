"""Processes that libraries start for themselves, and no item."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter

#: Helpers of Python and joblib, which live as long as their process and do no work of an item: module, path of the pid.
_HELPERS = (
    ("multiprocessing.resource_tracker", attrgetter("_resource_tracker._pid")),
    ("multiprocessing.forkserver", attrgetter("_forkserver._forkserver_pid")),
    ("joblib.externals.loky.backend.resource_tracker", attrgetter("_resource_tracker._pid")),
    ("loky.backend.resource_tracker", attrgetter("_resource_tracker._pid")),
)


def helper_processes() -> Iterator[int]:
    """The ids of those of this process, 0 where one does not run."""
    for name, pid in _HELPERS:
        with suppress(AttributeError):
            if module := sys.modules.get(name):
                yield pid(module) or 0
