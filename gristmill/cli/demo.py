"""`gristmill demo`."""

import hashlib
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from gristmill.batches.info import BatchInfo
from gristmill.cli import options
from gristmill.cli.command import command as new_command
from gristmill.cli.console import as_they_come, note, table, warn, write
from gristmill.cli.output.progress import ProgressView
from gristmill.demo.findings import UNDISTURBED, disturbance
from gristmill.demo.home import temporary_home
from gristmill.demo.one_core import measure
from gristmill.demo.site import NO_LIMITS, Site
from gristmill.demo.sizes import mixed
from gristmill.errors import GristmillError
from gristmill.local.fleet import LocalFleet
from gristmill.producer.batch import Batch
from gristmill.producer.submit import submit
from gristmill.server.connection import reaching
from gristmill.tasks import catalog

#: Seconds that the CPU-bound items take on one core.
CPU_SECONDS = 22.0
FIBONACCI_ITEMS, FIBONACCI_SIZES, PAGES, FILES, FILE_BYTES = 320, 10, 240, 120, 256 << 10
#: Items that are run one after another to see what one core alone takes. The first so many have every size.
SAMPLES = {"fibonacci": 2 * FIBONACCI_SIZES, "fetch": 24, "digest": 24}


@dataclass(frozen=True, slots=True)
class Part:
    """One batch of the demo, and its description."""

    what: str
    task: str
    items: list[Any]


@new_command("demo")
@click.option("--stay", is_flag=True, help="Keep workers and dashboard up until Ctrl-C.")
@options.quiet
def command(stay: bool) -> int:
    """Run the main job end to end on this host, in a temporary home that the command removes at its end.

    CPU-bound items go to the processes of the cpu worker. At the same time, I/O-bound items go to the threads of the
    io worker. The demo reaches no other host.

    \b
    Examples:
      gristmill demo
      gristmill demo --stay
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started_at = time.monotonic()
    with temporary_home(**NO_LIMITS) as home, Site() as site, reaching():
        note("starting a server, a cpu worker, an io worker and the dashboard …")
        with LocalFleet("gristmill demo", {"cpu": 0, "io": 0}, port=0, logs=home / "logs") as fleet:
            fleet.wait_ready()
            ready_at = time.monotonic()
            parts = _parts(home / "data", site)
            note(f"dashboard: {fleet.dashboard}")
            batches = [submit(part.task, part.items, name=f"demo-{part.task}") for part in parts]
            infos = _follow(batches, fleet)
            finished_at = time.monotonic()
            _show_results(batches, infos)
            _show_times(parts, infos)
            note(
                f"where the time went: {ready_at - started_at:.1f} s to start, {finished_at - ready_at:.1f} s of work, "
                f"{time.monotonic() - finished_at:.1f} s to measure one core"
            )
            if stay:
                note(f"the dashboard is at {fleet.dashboard} until Ctrl-C; in another terminal:")
                note(f"  GRISTMILL_HOME={home} gristmill batches")
                _stay(fleet)
    return max(info.exit_code for info in infos)


def _parts(data: Path, site: Site) -> list[Part]:
    sizes = mixed(FIBONACCI_ITEMS, FIBONACCI_SIZES, CPU_SECONDS, catalog.find("fibonacci").run)
    for number in range(FILES):
        (data / f"file-{number:03}").write_bytes(os.urandom(FILE_BYTES))
    return [
        Part(f"fibonacci of {min(sizes)} to {max(sizes)}", "fibonacci", sizes),
        Part(f"fetch {PAGES} pages of 50 to 200 ms", "fetch", [site.page(number) for number in range(PAGES)]),
        Part(f"digest {FILES} files", "digest", [f"file-{number:03}" for number in range(FILES)]),
    ]


def _follow(batches: list[Batch], fleet: LocalFleet) -> list[BatchInfo]:
    with ProgressView(["cpu: fibonacci", "io: fetch, digest"]) as view:
        while True:
            infos = [batch.info() for batch in batches]
            cpu, fetch, digest = infos
            view.update([cpu, _together(fetch, digest)])
            if not any(info.left for info in infos):
                return infos
            fleet.watch()
            time.sleep(0.1)


def _together(one: BatchInfo, other: BatchInfo) -> BatchInfo:
    counters = ("submitted", "succeeded", "failed", "cancelled", "dead", "left", "duplicates")
    state = one.state if one.left else other.state
    return replace(one, state=state, **{name: getattr(one, name) + getattr(other, name) for name in counters})


def _show_results(batches: list[Batch], infos: list[BatchInfo]) -> None:
    """Check every result, and print the first of each batch."""
    right = 0
    for batch in as_they_come(batches):
        for result in batch.results():
            right += result.state == "succeeded" and _is_right(batch.info().task, result.input, result.value)
            if result.index == 0:
                write(result.to_json())
    submitted = sum(info.submitted for info in infos)
    if right != submitted:
        raise GristmillError(f"{submitted - right} of {submitted} results are wrong or missing")
    duplicates = sum(info.duplicates for info in infos)
    note(f"{submitted} items submitted, {right} results, each checked; lost 0, duplicates {duplicates}")


def _is_right(task: str, item: Any, value: Any) -> bool:
    if task == "fibonacci":
        return bool(value == catalog.find("fibonacci").run(item, method="doubling"))
    if task == "digest":
        from gristmill.config.settings import settings

        path = Path(settings().data_root or ".") / item
        return bool(value["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest())
    return bool(value["status"] == 200)


def _show_times(parts: list[Part], infos: list[BatchInfo]) -> None:
    samples = [measure("sequential", part.task, part.items[: SAMPLES[part.task]]) for part in parts]
    sequential = [
        sample.seconds * len(part.items) / SAMPLES[part.task] for sample, part in zip(samples, parts, strict=True)
    ]
    rows = []
    for what, part in (("CPU-bound", slice(0, 1)), ("I/O-bound", slice(1, 3)), ("together", slice(0, 3))):
        created = min(info.created for info in infos[part])
        seconds = max(info.finished or time.time() for info in infos[part]) - created
        items, by_one = sum(len(one.items) for one in parts[part]), sum(sequential[part])
        work = "both at the same time" if what == "together" else ", ".join(one.what for one in parts[part])
        rows.append([what, work, f"{items}", f"{seconds:.1f}", f"{by_one:.1f}", f"{by_one / seconds:.1f}×"])
    columns = ["", "work", "items", "seconds", "one core alone", "speed-up"]
    table(columns, rows, right="items seconds one_core_alone speed-up")
    counts = ", ".join(f"{count} of {task}" for task, count in SAMPLES.items())
    note(f"one core alone: measured just now, one after another, on a sample of the same items ({counts})")
    if samples[0].cores < UNDISTURBED:
        warn(f"CPU-bound: {disturbance(samples[0].cores)}")


def _stay(fleet: LocalFleet) -> None:
    try:
        while True:
            time.sleep(0.5)
            fleet.watch()
    except KeyboardInterrupt:
        note("stopping …")
