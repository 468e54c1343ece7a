"""The Celery app and the tasks: all that you read to write a task of your own.

```python
from tasks import cpu

@cpu
def square(n: int) -> int:
    return n * n
```
"""

from tasks.application import app
from tasks.kinds import cpu, io

__all__ = ["app", "cpu", "io"]
