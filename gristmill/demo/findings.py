"""Sentences that say what the rows of `compare` show, made of the figures alone, whatever these are."""

from collections.abc import Sequence
from itertools import groupby

from gristmill.demo.row import Row
from gristmill.demo.way import EXECUTOR, POOL, PROCESS_WORKER, SEQUENTIAL, THREAD_WORKER, THREADING
from gristmill.tasks.kind import Kind

#: The least ratio that is no chance; figures whose ratio is below the second are alike.
_FASTER, _ALIKE = 1.2, 1.1
#: The share of a core that work which computes has at least, unless other programs have the core.
UNDISTURBED = 0.8


def findings(rows: Sequence[Row]) -> list[str]:
    """Sentences about the rows of each work, and one that says which worker was ahead at which work."""
    works = [list(group) for _, group in groupby(rows, key=lambda row: row.work)]
    sentences: list[str] = []
    for work in works:
        sentences += _of(work)
    undisturbed = [work for work in works if not _disturbed(work)]
    return [*sentences, _workers(undisturbed)] if undisturbed else sentences


def disturbance(cores: float) -> str:
    """The sentence about work that had less than one core, one item after another."""
    return (
        f"one item after another had {cores:.2f} of a core: other programs had the rest, so these figures say little; "
        "measure again on a quieter host."
    )


def _of(rows: Sequence[Row]) -> list[str]:
    if _disturbed(rows):
        return [f"{rows[0].work.name}: {disturbance(_best(rows, SEQUENTIAL).cores)}"]
    return _cpu(rows) if rows[0].work.kind is Kind.CPU else [_io(rows)]


def _disturbed(rows: Sequence[Row]) -> bool:
    """Whether other programs took a part of the one core that work which computes needs."""
    return not rows[0].work.waits and _best(rows, SEQUENTIAL).cores < UNDISTURBED


def _cpu(rows: Sequence[Row]) -> list[str]:
    threads, processes = _best(rows, THREADING, EXECUTOR), _best(rows, POOL)
    gil, cores, name = threads.measurement.gil is not False, processes.way.width, rows[0].work.name
    if gil:
        why = "Python's GIL lets one thread of a process compute at a time"
        if threads.speedup >= _FASTER:
            why += ", so this is chance; measure again on a quieter host"
    else:
        why = "this Python has no GIL" if threads.speedup >= _FASTER else _reason(threads, cores)
    if processes.speedup < _FASTER:
        shared = _reason(processes, cores)
    elif 1 / processes.work.longest < cores / _ALIKE:
        shared = _longest(processes)
    else:
        shared = "each has an interpreter, and a GIL, of its own" if gil else ""
    return [_sentence(name, _did(threads), why), _sentence(name, _did(processes), shared)]


def _io(rows: Sequence[Row]) -> str:
    threads, processes = _best(rows, THREADING, EXECUTOR), _best(rows, POOL)
    if rows[0].work.waits:
        if threads.speedup < _FASTER:
            why = "there was too little to wait for"
        elif processes.speedup > threads.speedup * _ALIKE:
            why = "processes were ahead"
        else:
            why = "a task that waits needs no core, so threads are enough"
    elif threads.speedup < _FASTER:
        why = _reason(threads, processes.way.width)
    else:
        gil = threads.measurement.gil is not False
        why = "threads use the cores too" + (", for reading and hashing release the GIL" if gil else "")
    return _sentence(rows[0].work.name, f"{_did(threads)}; {_did(processes)}", why)


def _workers(works: Sequence[Sequence[Row]]) -> str:
    ahead: dict[str, list[str]] = {}
    for rows in works:
        last, first = sorted((_best(rows, THREAD_WORKER), _best(rows, PROCESS_WORKER)), key=lambda row: row.speedup)
        name = f"the {first.way.name}" if first.speedup >= last.speedup * _ALIKE else "neither"
        ahead.setdefault(name, []).append(f"{rows[0].work.name} ({first.speedup:.2f}× to {last.speedup:.2f}×)")
    return "workers: " + "; ".join(f"{name} was ahead at {', '.join(works)}" for name, works in ahead.items()) + "."


def _best(rows: Sequence[Row], *names: str) -> Row:
    return max((row for row in rows if row.way.name in names), key=lambda row: row.speedup)


def _sentence(name: str, fact: str, why: str) -> str:
    return f"{name}: {fact}" + (f": {why}." if why else ".")


def _did(row: Row) -> str:
    verb = "was" if row.way.width == 1 else "were"
    much = (
        f"{row.speedup:.2f}× as fast as one" if row.speedup >= _FASTER else f"no faster than one ({row.speedup:.2f}×)"
    )
    return f"{row.way.width} {row.way.doers} {verb} {much}, with {row.cores:.2f} cores busy"


def _reason(row: Row, cores: int) -> str:
    """Why a way that could use so many cores was no faster."""
    if cores == 1:
        return "this host lets the command use one core"
    if row.work.longest * _FASTER > 1:
        return _longest(row)
    return "other programs had the cores, or there was too little work to share"


def _longest(row: Row) -> str:
    return f"the longest item is {100 * row.work.longest:.0f} % of the work, and one item runs in one process"
