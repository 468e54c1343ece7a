"""`python put.py APP many TASK COUNT` or `python put.py APP light RATE SECONDS`: put tasks with a peer's own means.

APP offers `put_one(task, argument)` and, if the peer has something for lists, `put_many(task, arguments)`. One task
goes ahead: what is done once, connecting too, is not measured. Prints JSON: when it began and ended, Unix times, and
what `put_many` answered.
"""

import json
import sys
import time
from importlib import import_module
from typing import Any


def many(app: Any, task: str, count: int) -> dict[str, Any]:
    """Put a list of tasks."""
    app.put_one(task, 0)
    started_at, answer = time.time(), None
    if hasattr(app, "put_many"):
        answer = app.put_many(task, range(count))
    else:
        for number in range(count):
            app.put_one(task, number)
    return {"begun": started_at, "ended": time.time(), "answer": answer}


def light(app: Any, rate: float, seconds: float) -> dict[str, Any]:
    """Put so many a second, each with the time at which it was put."""
    app.put_one("noop", 0)
    started_at = time.time()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, started_at + number / rate - time.time()))
        app.put_one("light", time.time())
    return {"begun": started_at, "ended": time.time(), "answer": None}


if __name__ == "__main__":
    _, name, how, first, second = sys.argv
    app = import_module(name)
    print(json.dumps(many(app, first, int(second)) if how == "many" else light(app, float(first), float(second))))
