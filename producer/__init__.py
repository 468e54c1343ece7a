"""Submits batches, follows them and reads their results: the Python API.

```python
from producer import submit

batch = submit("fibonacci", [30, 35, 40])
for result in batch.results():
    print(result.input, result.value)
```
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batches.info import BatchInfo, State
    from batches.result import Result
    from producer.batch import Batch, batches, open_batch
    from producer.submission import submit

__all__ = ["Batch", "BatchInfo", "Result", "State", "batches", "open_batch", "submit"]

_HOMES = {
    "BatchInfo": "batches.info",
    "State": "batches.info",
    "Result": "batches.result",
    "Batch": "producer.batch",
    "batches": "producer.batch",
    "open_batch": "producer.batch",
    "submit": "producer.submission",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the command line, a part of this package, need not wait for Celery to print its help.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
