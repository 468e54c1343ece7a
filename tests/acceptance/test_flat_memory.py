"""A producer's memory does not grow with its input."""

import json
import re
import time
from pathlib import Path

import pytest

from tests.conftest import until
from tests.support.command import Place

#: Items of the small and of the large batch, and by how much the large one may have more at its peak: 22 bytes an item.
FEW, MANY = 10_000, 150_000
ALLOWED_MIB = 3


def peak_mib(pid: int) -> float | None:
    """The most memory that a process that runs had so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def measured(place: Place, count: int, *command: str) -> tuple[float, float]:
    """Run a command that prints so many results; its peak memory in MiB, and the seconds it took."""
    out = place.path / "out"
    most, begun = 0.0, time.monotonic()
    with out.open("wb") as stdout, place.start(*command, stdout=stdout) as running:

        def ended() -> bool:
            nonlocal most
            over = running.process.poll() is not None
            most = max(most, (None if over else peak_mib(running.pid)) or 0.0)
            return over

        until(ended, 1500, f"the end of {command}")
        running.end().good()
    seconds = time.monotonic() - begun
    seen, in_order = bytearray(count), True
    with out.open() as lines:
        for number, line in enumerate(lines):
            row = json.loads(line)
            assert row["state"] == "succeeded"
            seen[row["index"]] += 1
            in_order &= row["index"] == number
    assert seen == bytes([1]) * count, "each item's result is printed once"
    assert in_order or "--in-order" not in command
    out.unlink()
    return most, seconds


#: What is measured with few and with many items, one after another with the same batch.
COMMANDS = {
    "run": ("run", "pause", "--from", "{items}", "--name", "{name}"),
    "results in order": ("results", "{name}", "--in-order", "--follow"),
    "results as completed": ("results", "{name}", "--follow"),
    "results by index": ("results", "{name}"),
    "results consumed": ("results", "{name}", "--follow", "--consume"),
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_lines(place, record_property):
    found: dict[str, list[tuple[float, float]]] = {what: [] for what in COMMANDS}
    for count in (FEW, MANY):
        names = {"items": place.file(f"items-{count}", "0\n" * count), "name": f"b{count}"}
        for what, command in COMMANDS.items():
            found[what].append(measured(place, count, *(word.format(**names) for word in command)))
    figures = "\n".join(
        f"{what}: {few:.1f} MiB with {FEW:,} items, {few_seconds:.1f} s; {many:.1f} with {MANY:,}, {many_seconds:.1f} s"
        for what, ((few, few_seconds), (many, many_seconds)) in found.items()
    )
    record_property("figures", figures)
    print(figures)  # noqa: T201 (shown by `pytest -rP`)
    for what, ((few, _), (many, _)) in found.items():
        assert few > 0, what
        assert many <= few + ALLOWED_MIB, f"{what}: {figures}"
