"""Gristmill: batches of Python work on many cores and many hosts, with nothing lost.

```python
from gristmill import cpu, submit

@cpu
def square(n: int) -> int:
    return n * n

if __name__ == "__main__":
    print(list(submit("square", [1, 2, 3]).values()))
```

The names below are the public API, with those of `gristmill.errors` and `gristmill.files`; all else is private.
"""

import os
import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.batches.info import BatchInfo, State
    from gristmill.batches.result import Result
    from gristmill.batches.schedules import ScheduleInfo
    from gristmill.producer.batch import Batch
    from gristmill.producer.batches import batches, open_batch
    from gristmill.producer.schedules import Schedule, open_schedule, schedule, schedules
    from gristmill.producer.submit import submit
    from gristmill.tasks.item import item
    from gristmill.tasks.kinds import cpu, io

__all__ = [
    "Batch",
    "BatchInfo",
    "Result",
    "Schedule",
    "ScheduleInfo",
    "State",
    "batches",
    "cpu",
    "io",
    "item",
    "open_batch",
    "open_schedule",
    "schedule",
    "schedules",
    "submit",
]

#: The module that defines each public name. It is imported when a program first uses the name: `import gristmill`
#: alone loads neither Celery nor redis-py.
_MODULES = {
    "Batch": "gristmill.producer.batch",
    "BatchInfo": "gristmill.batches.info",
    "Result": "gristmill.batches.result",
    "Schedule": "gristmill.producer.schedules",
    "ScheduleInfo": "gristmill.batches.schedules",
    "State": "gristmill.batches.info",
    "batches": "gristmill.producer.batches",
    "cpu": "gristmill.tasks.kinds",
    "io": "gristmill.tasks.kinds",
    "item": "gristmill.tasks.item",
    "open_batch": "gristmill.producer.batches",
    "open_schedule": "gristmill.producer.schedules",
    "schedule": "gristmill.producer.schedules",
    "schedules": "gristmill.producer.schedules",
    "submit": "gristmill.producer.submit",
}


#: Threads that first use several names at once import one module after the other: Python breaks off imports of one
#: package that wait for each other.
_importing = threading.RLock()
#: The API's names that were used.
_names: dict[str, object] = {}


def _begin_anew() -> None:
    # Whoever holds the lock while another thread forks is not there to release it in the child.
    global _importing  # noqa: PLW0603
    _importing = threading.RLock()


os.register_at_fork(after_in_child=_begin_anew)


def __getattr__(name: str) -> object:
    if name in _names:
        return _names[name]
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _importing:
        return _names.setdefault(name, getattr(import_module(_MODULES[name]), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package: its attribute `batches` is the function, and never the subpackage of the same name."""

    @property
    def batches(self) -> object:
        return __getattr__("batches")

    @batches.setter
    def batches(self, subpackage: object) -> None:
        """Python sets the attribute when `gristmill.batches` is imported: the function stays."""


sys.modules[__name__].__class__ = _Package
