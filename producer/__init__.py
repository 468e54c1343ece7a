"""Submits batches, follows them and reads their results: the Python API.

```python
from gristmill.producer import submit

batch = submit("fibonacci", [30, 35, 40])
for result in batch.results():
    print(result.input, result.value)
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "gristmill.producer":
    # In the clone's root, `import producer` would load this folder a second time, beside `gristmill.producer`.
    raise ImportError(f"cannot import {__name__}: the folder is part of a package (import gristmill.producer)")

if TYPE_CHECKING:
    from gristmill.batches.info import BatchInfo, State
    from gristmill.batches.result import Result
    from gristmill.producer.batch import Batch, batches, open_batch
    from gristmill.producer.submission import submit

__all__ = ["Batch", "BatchInfo", "Result", "State", "batches", "open_batch", "submit"]

_HOMES = {
    "BatchInfo": "gristmill.batches.info",
    "State": "gristmill.batches.info",
    "Result": "gristmill.batches.result",
    "Batch": "gristmill.producer.batch",
    "batches": "gristmill.producer.batch",
    "open_batch": "gristmill.producer.batch",
    "submit": "gristmill.producer.submission",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the command line, a part of this package, need not wait for Celery to print its help.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
