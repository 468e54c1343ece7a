"""`python -m benchmarks.programs rate|cpu|pipe`: programs as items, beside other tools, in rounds of one run.

`rate`: 10,000 times `true`, on two slots. `cpu`: 1,000 programs that compute for 10 ms each. Both print the seconds of
each tool in each round, start and end included, and the ratio of the medians to xargs -P2: `run` starts a fleet of its
own, `run beside up` finds one. `pipe`: a million lines from a pipe into one `run`, which is killed midway and repeated;
prints the memory that it took, and counts what ran and what was printed. GNU parallel is measured if it is installed.
"""

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.options import at_least, use_bytecode
from benchmarks.peers.environment import programs

GRISTMILL = [sys.executable, "-P", "-m", "gristmill"]
#: Runs a command for each line of a file.
Tool = Callable[[list[str], Path], None]
_HYPERQUEUE = """
import sys
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
words, path = sys.argv[2:], sys.argv[1]
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client, job = cluster.client(), Job()
    for line in open(path):
        job.program([*words, line.strip()], stdout=None, stderr=None)
    client.wait_for_jobs([client.submit(job)])
"""


def _call(*words: str, stdin: Path | None = None, **variables: str) -> None:
    with (stdin or Path(os.devnull)).open() as source, tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            words, stdin=source, stdout=subprocess.DEVNULL, stderr=errors, env={**os.environ, **variables}, check=False
        )
        if done.returncode:
            errors.seek(0)
            raise SystemExit(
                f"{words[0]} ended with {done.returncode}: {errors.read().decode(errors='replace')[-2000:]}"
            )


def _xargs(words: list[str], path: Path) -> None:
    _call("xargs", "-P2", "-n1", *words, stdin=path)


def _parallel(words: list[str], path: Path) -> None:
    _call("parallel", "-j2", shlex.join(words), "::::", str(path))


def _hypershell(words: list[str], path: Path) -> None:
    # In bundles of 100 and without its database: its fastest way.
    options = ("-N2", "-b100", "--no-db", "--no-confirm", "--no-tls", "-t", f"{shlex.join(words)} {{}}")
    _call(str(programs("hypershell") / "hs"), "cluster", str(path), *options)


def _hyperqueue(words: list[str], path: Path) -> None:
    _call(str(programs("hyperqueue") / "python"), "-c", _HYPERQUEUE, str(path), *words)


def _run(words: list[str], path: Path, home: str = "") -> None:
    with tempfile.TemporaryDirectory() as own:
        _call(*GRISTMILL, "run", "--quiet", "--from", str(path), "--", *words, **_settings(home or own))


def _settings(home: str) -> dict[str, str]:
    return {"GRISTMILL_HOME": home, "GRISTMILL_CPU_SLOTS": "2"}


@contextmanager
def _fleet() -> Iterator[str]:
    """The home of a fleet with two slots."""
    with tempfile.TemporaryDirectory() as home:
        command = [*GRISTMILL, "up", "cpu"]
        environ = {**os.environ, **_settings(home)}
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as up:
            assert up.stderr is not None
            for line in up.stderr:
                if "Ctrl-C ends it" in line:
                    break
            try:
                yield home
            finally:
                up.terminate()
                up.communicate()


def tools(names: list[str], home: str) -> dict[str, Tool]:
    """The tools to measure."""
    every: dict[str, Tool] = {
        "xargs": _xargs,
        "run": _run,
        "run beside up": lambda words, path: _run(words, path, home),
        "parallel": _parallel,
        "hypershell": _hypershell,
        "hyperqueue": _hyperqueue,
    }
    if not shutil.which("parallel"):
        every.pop("parallel")
    contenders = {name: tool for name, tool in every.items() if not names or name in names}
    for name in ("hypershell", "hyperqueue"):
        if name in contenders:
            # To install it takes none of its time.
            programs(name)
    return contenders


def ten_milliseconds() -> list[str]:
    """A program that computes for about 10 ms, beyond its start."""
    loops = 2_000_000
    started_at = time.process_time_ns(), os.times().children_user
    subprocess.run(["awk", f"BEGIN {{for (i = 0; i < {loops}; i++) ; }}"], check=True)
    seconds = os.times().children_user - started_at[1]
    return ["awk", f"BEGIN {{for (i = 0; i < {round(loops * 0.01 / max(seconds, 0.01))}; i++) ; }}"]


def measure(words: list[str], items: int, rounds: int, names: list[str]) -> None:
    """Print the seconds of each tool for so many items, round by round."""
    with tempfile.TemporaryDirectory() as directory, _fleet() as home:
        path = Path(directory) / "items"
        path.write_text("".join(f"{index}\n" for index in range(items)))
        contenders = tools(names, home)
        seconds: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, tool in contenders.items():
                started_at = time.perf_counter()
                tool(words, path)
                seconds[name].append(time.perf_counter() - started_at)
                print(f"{name:15} {seconds[name][-1]:8.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    base = statistics.median(seconds["xargs"]) if "xargs" in seconds else None
    for name, values in seconds.items():
        middle = statistics.median(values)
        ratio = f", rate {base / middle:.2f} of xargs" if base else ""
        print(f"{name:15} median {middle:8.2f} s, {items / middle:8.0f} a second{ratio}")


def _lines(count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["seq", "-f", "%.0f", "0", str(count - 1)], stdout=subprocess.PIPE)


def pipe(items: int) -> None:
    """A long input from a pipe: kill `run` when a third has been printed, repeat it, and count what ran."""
    with tempfile.TemporaryDirectory() as directory, _fleet() as home:
        runs, out = Path(directory) / "runs", Path(directory) / "out"
        program = ["sh", "-c", 'echo "$1" >> "$0"; echo "$1"', str(runs)]
        words = [*GRISTMILL, "run", "--quiet", "--name", "pipe", "--from", "-", "--", *program]
        environ = {**os.environ, **_settings(home)}
        for share in (1 / 3, 1.0):
            with out.open("wb") as file, _lines(items) as source:
                started_at = time.perf_counter()
                process = subprocess.Popen(words, stdin=source.stdout, stdout=file, env=environ)
                memory = _watch(process, out, share * items)
                if share < 1:
                    process.kill()
                source.kill()
                code = process.wait()
            end = "killed" if share < 1 else f"exit code {code}"
            print(f"{end} after {time.perf_counter() - started_at:.0f} s; {_growth(memory)}", flush=True)
        lines, all_runs = out.read_text().split(), runs.read_text().split()
        print(f"{items:,} items; printed {len(lines):,}, different ones {len(set(lines)):,}")
        print(f"programs that ran to their end {len(all_runs):,}, of different items {len(set(all_runs)):,}")
        info = [*GRISTMILL, "batches", "--json"]
        print(subprocess.run(info, env=environ, capture_output=True, text=True, check=True).stdout)


def _growth(memory: list[int]) -> str:
    """What became of the memory of `run`: the medians of a tenth of the samples, early and at the end, and the peak."""
    tenth = max(1, len(memory) // 10)
    early, late = (
        statistics.median(part) / (1 << 20) for part in (memory[tenth : 2 * tenth] or memory, memory[-tenth:])
    )
    return (
        f"memory of run {early:.1f} MiB after a tenth, {late:.1f} MiB at the end, {max(memory) / (1 << 20):.1f} at most"
    )


def _watch(process: "subprocess.Popen[bytes]", out: Path, lines: float) -> list[int]:
    """The memory of a process, in bytes at times, until it ends, or has written about so many lines."""
    samples, about = [], 6
    while process.poll() is None and out.stat().st_size < lines * about:
        try:
            samples.append(psutil.Process(process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.2)
    return samples


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "cpu", "pipe"))
    parser.add_argument("--items", type=at_least(1), help="items; default: 10,000, 1,000 or 1,000,000")
    parser.add_argument("--rounds", type=at_least(1), default=3, help="rounds of all tools; default: 3")
    parser.add_argument("--tools", nargs="*", default=[], help="the tools; default: all")
    arguments = parser.parse_args()
    use_bytecode()
    if arguments.what == "pipe":
        pipe(arguments.items or 1_000_000)
        return
    words, items = (["true"], 10_000) if arguments.what == "rate" else (ten_milliseconds(), 1_000)
    measure(words, arguments.items or items, arguments.rounds, arguments.tools)


if __name__ == "__main__":
    main()
