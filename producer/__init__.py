"""Submits batches, follows them and reads their results: the Python API.

```python
from producer import submit

batch = submit("fibonacci", [30, 35, 40])
for result in batch.results():
    print(result.input, result.value)
```
"""

from batches.info import BatchInfo, State
from batches.result import Result
from producer.batch import Batch, batches, open_batch
from producer.submission import submit

__all__ = ["Batch", "BatchInfo", "Result", "State", "batches", "open_batch", "submit"]
