"""The producer of a visit, which runs in the environment of either side and imports only what is public.

Each line of standard input is a call as JSON, its name and arguments; the answer is a line with a JSON object.
"""

import json
import statistics
import sys
import time

from gristmill import submit

#: Items compute at so many places of Python's stack, over a page of memory: a commit calls tasks at one place of its
#: own, where the same code may take 2 % longer than elsewhere.
PLACES = 32


def batch(items: int) -> dict[str, float]:
    """A batch of items that compute nothing: CPU seconds of this process."""
    return _batch("fibonacci", [1] * items)


def deep(items: int) -> dict[str, float]:
    """A batch of items that compute a Fibonacci number: CPU seconds of this process."""
    return _batch("deep_fibonacci", [number % PLACES for number in range(items)])


def _batch(task: str, inputs: list[int]) -> dict[str, float]:
    used = time.process_time()
    ended = submit(task, inputs)
    seconds = time.process_time() - used
    ended.wait(max_wait=300)
    return {"cpu": seconds}


def singles(count: int) -> dict[str, float]:
    """Batches of one item, one after the other: the median of the seconds from the submission to the result."""
    times = []
    for _ in range(count):
        started_at = time.perf_counter()
        for _info, results in submit("fibonacci", [1]).follow():
            if any(result.value == 1 for result in results):
                times.append(time.perf_counter() - started_at)
    assert len(times) == count
    return {"median": statistics.median(times)}


def plain(count: int) -> dict[str, float]:
    """Plain tasks, sent one by one: CPU seconds of this process."""
    from plain_app import noop

    used = time.process_time()
    for number in range(count):
        noop.delay(number)
    return {"cpu": time.process_time() - used}


CALLS = {"batch": batch, "deep": deep, "singles": singles, "plain": plain}

if __name__ == "__main__":
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(CALLS[name](*arguments)), flush=True)
