"""The producer of a visit, which runs in the environment of either side and imports only what is public.

Each line of standard input is a call as JSON, its name and arguments; the answer is a line with a JSON object.
"""

import json
import statistics
import sys
import time

from gristmill import submit


def batch(items: int, number: int = 1) -> dict[str, float]:
    """A batch of items of one Fibonacci number, from its submission to its end: CPU seconds of this process."""
    used = time.process_time()
    ended = submit("fibonacci", [number] * items)
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


if __name__ == "__main__":
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps({"batch": batch, "singles": singles, "plain": plain}[name](*arguments)), flush=True)
