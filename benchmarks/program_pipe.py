"""A long input from a pipe into one `run` of a program, which is killed midway and repeated."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path

import psutil

from benchmarks import page
from benchmarks.program_tools import GRISTMILL, fleet, settings_of

MIB = 1 << 20
#: By how much the memory of `run` may grow between a tenth of its time and the end.
FLAT = 1.05


def pipe(items: int) -> str:
    """Kill `run` when a third has been printed, repeat it, and count what ran; the table of the goals."""
    with tempfile.TemporaryDirectory() as directory, fleet() as home:
        runs, out = Path(directory) / "runs", Path(directory) / "out"
        program = ["sh", "-c", 'echo "$1" >> "$0"; echo "$1"', str(runs)]
        words = [*GRISTMILL, "run", "--quiet", "--name", "pipe", "--from", "-", "--", *program]
        environ = {**os.environ, **settings_of(home)}
        third = sum(len(f"{number}\n") for number in range(items)) / 3
        memory = [_run(words, environ, items, out, third), _run(words, environ, items, out, inf)]
        info = subprocess.run(
            [*GRISTMILL, "batches", "--json"], env=environ, capture_output=True, text=True, check=True
        )
        return _goals(items, memory, out.read_text().split(), runs.read_text().split(), json.loads(info.stdout))


def _run(words: list[str], environ: Mapping[str, str], items: int, out: Path, most: float) -> list[int]:
    """Run the command until it ends, or kill it when it has printed so many bytes; its memory, in bytes at times."""
    source = subprocess.Popen(["seq", "-f", "%.0f", "0", str(items - 1)], stdout=subprocess.PIPE)
    with out.open("wb") as file, source:
        started_at, samples = time.perf_counter(), []
        process = subprocess.Popen(words, stdin=source.stdout, stdout=file, env=environ)
        stats = psutil.Process(process.pid)
        while process.poll() is None and out.stat().st_size < most:
            # It may end meanwhile.
            with suppress(psutil.NoSuchProcess):
                samples.append(stats.memory_info().rss)
            time.sleep(0.2)
        if process.returncode is None:
            process.kill()
        source.kill()
        code = process.wait()
    end = "killed" if code < 0 else f"exit code {code}"
    print(f"{end} after {time.perf_counter() - started_at:.0f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    return samples


def _goals(
    items: int, memory: Sequence[list[int]], lines: Sequence[str], runs: Sequence[str], info: Mapping[str, int]
) -> str:
    rows = []
    for which, samples in zip(("killed", "repeated"), memory, strict=True):
        early, late = _early_and_late(samples)
        text = f"{early:.1f} to {late:.1f} MiB, {max(samples) / MIB:.1f} at most"
        rows.append([f"memory of `run`, {which}: at its end, to a tenth", f"≤ {FLAT}×", text, late <= FLAT * early])
    ended = info["succeeded"] + info["failed"] + info["cancelled"] + info["dead"]
    extra, repeats = len(runs) - len(set(runs)), info["duplicates"]
    rows += [
        ["items with an outcome", f"{items:,}", f"{ended:,}, {info['succeeded']:,} succeeded", ended == items],
        [
            "lines that the repeated `run` printed, each once",
            f"{items:,}",
            f"{len(lines):,}, {len(set(lines)):,} different ones",
            len(lines) == len(set(lines)) == items,
        ],
        ["items whose program ran to its end", f"{items:,}", f"{len(set(runs)):,}", len(set(runs)) == items],
        ["programs that ran again, to duplicates", f"≤ {repeats:,}", f"{extra:,}", extra <= repeats],
    ]
    texts = [[*row[:3], "yes" if row[3] else "**no**"] for row in rows]
    return page.table(["goal", "allowed", "measured", "reached"], texts)


def _early_and_late(samples: Sequence[int]) -> tuple[float, float]:
    """The medians of the second and of the last tenth of the samples, in MiB."""
    tenth = max(1, len(samples) // 10)
    early, late = samples[tenth : 2 * tenth] or samples, samples[-tenth:]
    return statistics.median(early) / MIB, statistics.median(late) / MIB
