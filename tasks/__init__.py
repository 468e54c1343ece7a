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


def __getattr__(name: str) -> object:
    """The Celery app, for `celery -A gristmill.tasks`: modules of this folder that need no Celery do not load it."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gristmill.tasks.application import app

    return app
