"""`python -m benchmarks.values`: what typed values cost beside JSON's own, and large ones through files.

The first table is the CPU of this process: the worker writes a value as JSON, the reader of results reads it back. The
same data as plain JSON and as the types that a task's annotation names, in pairs, one after the other in each round.
The second table is the wall time of one value: written with its folders flushed to the disk, and read back.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from json import loads
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from benchmarks.peers.report import median_text
from gristmill.batches.value_file import ValueFile
from gristmill.config.settings import load
from gristmill.tasks.return_type import ReturnType


@dataclass
class Point:
    """Two numbers."""

    x: float
    y: float


class Picture(BaseModel):
    """What a task says of a picture."""

    path: Path
    taken_at: datetime
    labels: list[str]
    score: float


_TAKEN_AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
#: What is compared: the annotation of the plain value, the plain value, that of the typed one, the typed one.
PAIRS: dict[str, tuple[Any, Any, Any, Any]] = {
    "int": (int, 832_040, int, 832_040),
    "date": (str, "2026-11-27", date, date(2026, 11, 27)),
    "Decimal": (str, "19.99", Decimal, Decimal("19.99")),
    "UUID": (str, str(UUID(int=7)), UUID, UUID(int=7)),
    "bytes (32)": (str, "eHh4" * 11, bytes, b"x" * 32),
    "dataclass of 2 floats": (dict[str, float], {"x": 1.5, "y": 2.5}, Point, Point(1.5, 2.5)),
    "model of 4 fields": (
        dict[str, Any],
        {"path": "a.jpg", "taken_at": _TAKEN_AT.isoformat(), "labels": ["cat", "sofa"], "score": 0.9},
        Picture,
        Picture(path=Path("a.jpg"), taken_at=_TAKEN_AT, labels=["cat", "sofa"], score=0.9),
    ),
    "list of 100 dates": (list[str], ["2026-11-27"] * 100, list[date], [date(2026, 11, 27)] * 100),
}


def once(annotation: Any, value: Any, number: int) -> tuple[float, float]:
    """Microseconds of CPU to write a value, and to read it back."""
    kind = ReturnType(annotation)
    text = kind.text(value)
    if kind.read(loads(text)) != value:
        raise ValueError(f"{value!r} comes back as {kind.read(loads(text))!r}")
    writing = _cpu(lambda: kind.text(value), number)
    return writing, _cpu(lambda: kind.read(loads(text)), number)


def _cpu(call: Callable[[], object], number: int) -> float:
    started_at = time.process_time()
    for _ in range(number):
        call()
    return 1e6 * (time.process_time() - started_at) / number


def compare(rounds: int, number: int) -> Iterator[str]:
    """Lines of a table: medians of the rounds, and of the ratios of each round."""
    yield "| value | plain: write, read | typed: write, read | typed to plain |"
    yield "| --- | --- | --- | --- |"
    for name, (plain_type, plain, typed_type, typed) in PAIRS.items():
        pairs = [(once(plain_type, plain, number), once(typed_type, typed, number)) for _ in range(rounds)]
        cells = [
            f"{statistics.median(pair[side][0] for pair in pairs):.2f} µs, "
            f"{statistics.median(pair[side][1] for pair in pairs):.2f} µs"
            for side in (0, 1)
        ]
        ratios = [sum(one) / sum(other) for other, one in pairs]
        yield f"| {name} | {cells[0]} | {cells[1]} | {median_text(ratios, 2)} |"


def files(root: Path, rounds: int, megabytes: Sequence[int]) -> Iterator[str]:
    """Lines of a table: medians, and the least and the most, of whole values of some sizes through files."""
    yield "| value, in a file | write | read |"
    yield "| --- | --- | --- |"
    settings = load({"GRISTMILL_DATA_ROOT": str(root.absolute()), "GRISTMILL_SHARED_DATA_ROOT": "true"})
    for size in megabytes:
        text, times = '"' + "x" * (size << 20) + '"', ([], [])  # type: tuple[str, tuple[list[float], list[float]]]
        for attempt in range(1, rounds + 1):
            started_at = time.perf_counter()
            reference = ValueFile.of(loads(ValueFile.write(str(root), "b." + "0" * 32, 0, attempt, text)))
            written_at = time.perf_counter()
            reference.value(settings, "the value")
            times[0].append(written_at - started_at)
            times[1].append(time.perf_counter() - written_at)
            Path(reference.where(str(root))).unlink()
        cells = [f"{median_text([1e3 * each for each in one], 1)} ms" for one in times]
        yield f"| {size} MiB | {cells[0]} | {cells[1]} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.values", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--number", type=int, default=5000, help="values of each round")
    parser.add_argument("--root", type=Path, help="a directory for the files (default: one in the current directory)")
    parser.add_argument(
        "--megabytes", type=int, nargs="*", default=[2, 16, 64], help="sizes of values in files, in MiB"
    )
    options = parser.parse_args(arguments)
    for line in compare(options.rounds, options.number):
        sys.stdout.write(line + "\n")
    with tempfile.TemporaryDirectory(dir=options.root or Path.cwd()) as name:
        for line in files(Path(name), options.rounds, options.megabytes):
            sys.stdout.write(line + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
