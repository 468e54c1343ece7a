"""`put.py APP many TASK COUNT`, `put.py APP lots SIZE COUNT`, `put.py APP light|marked RATE SECONDS`: put tasks.

They are put with a peer's own means; `lots` packs SIZE no-ops into each message, as a user would do by hand.
APP offers `put_one(task, argument)` and, if the peer has something for lists, `put_many(task, arguments)` and
`put_lots(lists)`. One task
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


def lots(app: Any, size: int, count: int) -> dict[str, Any]:
    """Put no-ops, so many in a message."""
    app.put_one("noop", 0)
    started_at, answer = time.time(), None
    every = (list(range(first, min(count, first + size))) for first in range(0, count, size))
    if hasattr(app, "put_lots"):
        answer = app.put_lots(every)
    else:
        for numbers in every:
            app.put_one("lot", numbers)
    return {"begun": started_at, "ended": time.time(), "answer": answer}


def steady(app: Any, task: str, rate: float, seconds: float) -> dict[str, Any]:
    """Put so many a second: `light` with the time at which each was put, others with their number."""
    app.put_one("noop", 0)
    started_at = time.time()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, started_at + number / rate - time.time()))
        app.put_one(task, time.time() if task == "light" else number)
    return {"begun": started_at, "ended": time.time(), "answer": None}


def main() -> dict[str, Any]:
    """Put what the arguments say."""
    _, name, how, first, second = sys.argv
    app = import_module(name)
    if how == "many":
        return many(app, first, int(second))
    return lots(app, int(first), int(second)) if how == "lots" else steady(app, how, float(first), float(second))


if __name__ == "__main__":
    print(json.dumps(main()))
