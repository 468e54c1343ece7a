"""A producer's memory does not grow with its input."""

import json
import re
import time
from pathlib import Path

import pytest
from conftest import until

from acceptance.command import Place

ALLOWED_MIB = 20


def peak_mib(pid: int) -> float | None:
    """The most memory that a process that runs had so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def run(place: Place, count: int) -> tuple[float, float]:
    """Run so many items of no work from a file; the producer's peak memory in MiB, and the seconds it took."""
    items, out = place.file(f"items-{count}", "0\n" * count), place.path / f"out-{count}"
    most, begun = 0.0, time.monotonic()
    with out.open("wb") as stdout, place.start("run", "pause", "--from", items, stdout=stdout) as running:

        def ended() -> bool:
            nonlocal most
            over = running.process.poll() is not None
            most = max(most, (None if over else peak_mib(running.pid)) or 0.0)
            return over

        until(ended, 1500, f"the end of {count} items")
        running.end().good()
    seconds = time.monotonic() - begun
    seen = bytearray(count)
    with out.open() as lines:
        for line in lines:
            row = json.loads(line)
            assert row["state"] == "succeeded"
            seen[row["index"]] += 1
    assert seen == bytes([1]) * count, "each item's result is printed once"
    out.unlink()
    return most, seconds


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_million_lines(place, record_property):
    few, few_seconds = run(place, 10_000)
    many, many_seconds = run(place, 1_000_000)
    figures = (
        f"peak memory of the producer: {few:.1f} MiB with 10^4 items ({few_seconds:.1f} s), "
        f"{many:.1f} MiB with 10^6 ({many_seconds:.1f} s)"
    )
    record_property("figures", figures)
    print(figures)  # noqa: T201 (shown by `pytest -rP`)
    assert few > 0, figures
    assert many <= few + ALLOWED_MIB, figures
