"""`lists.py APP TASK COUNT`: tools that take a whole list, without a server. Prints the tasks per second as JSON.

APP offers `pool()`, a context that has two processes and yields what runs a function for each of some numbers, and
returns when all results are there. A short list goes ahead, so that processes and imports are ready.
"""

import json
import sys
import time
from importlib import import_module

import work

#: Numbers that go ahead.
AHEAD = 200


def noop(number: int) -> int:
    """Nothing at all."""
    return number


def cpu(number: int) -> int:
    """About 10 ms of CPU."""
    return work.fibonacci(work.size(number))


TASKS = {"noop": noop, "cpu": cpu}


def rate(app: str, task: str, count: int) -> float:
    """Tasks per second, from the call to the last result."""
    with import_module(app).pool() as run:
        run(TASKS[task], range(AHEAD if task == "noop" else 4))
        started_at = time.perf_counter()
        run(TASKS[task], range(count))
        return count / (time.perf_counter() - started_at)


if __name__ == "__main__":
    # By this name the processes can import the functions.
    lists = import_module("lists")
    print(json.dumps(lists.rate(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
