"""The Celery app and the tasks: all that you read to write a task of your own.

```python
from gristmill import cpu

@cpu
def square(n: int) -> int:
    return n * n
```
"""

if __name__ != "gristmill.tasks":
    # In the clone's root, `import tasks` would load this folder a second time, beside `gristmill.tasks`.
    raise ImportError(f"cannot import {__name__}: the folder is part of a package (import gristmill.tasks)")

from gristmill.tasks.application import app
from gristmill.tasks.kinds import cpu, io

__all__ = ["app", "cpu", "io"]
