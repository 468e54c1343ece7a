"""Which results a command has written: each once, in memory that does not grow with the items."""

import random
import tracemalloc

from gristmill.cli.output.written import WrittenAttempts

ITEMS = 250_000


def test_a_result_is_new_unless_it_or_one_of_a_later_attempt_was_there():
    written, known, luck = WrittenAttempts(), {}, random.Random(5)
    # Several whole pages, in some disorder, with a few later attempts before and after their page is whole.
    results = [(index, 1) for index in range(20_000)] + [
        (luck.randrange(20_000), luck.randrange(4)) for _ in range(9_000)
    ]
    for index, attempts in sorted(results, key=lambda result: result[0] + luck.randrange(9_000)):
        assert written.add(index, attempts) is (known.get(index, -1) < attempts), (index, attempts)
        known[index] = max(known.get(index, -1), attempts)


def test_memory_stays_flat():
    written = WrittenAttempts()
    tracemalloc.start()
    try:
        for index in range(ITEMS):
            written.add(index, 1)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < ITEMS / 4, "a byte for each item is four times as much"
    assert not any(written.add(index, 1) for index in range(0, ITEMS, 997))
