"""The Celery app and the tasks: all that you read to write a task of your own.

```python
from gristmill.tasks import cpu

@cpu
def square(n: int) -> int:
    return n * n
```
"""

from gristmill.tasks.application import app
from gristmill.tasks.kinds import cpu, io

__all__ = ["app", "cpu", "io"]
