"""Tools that run a whole list in processes, and have no server: joblib, Dask and Ray."""

import json
import os
import subprocess
from functools import partial

from benchmarks.peers.environment import programs, versions
from benchmarks.peers.limits import PROCESSES, Ceiling
from benchmarks.peers.peer import APPS
from benchmarks.peers.rounds import PUT_SECONDS, Figures, Size


def _run(package: str, task: str, noops: int, this: Size) -> Figures:
    """One round (see apps/lists.py), in the tool's own environment."""
    count = int(noops * this.share) if task == "noop" else int(this.work * PROCESSES / 0.01)
    command = [str(programs(package) / "python"), "lists.py", f"{package}_app", task, str(count)]
    environ = {**os.environ, "PYTHONPATH": str(APPS)}
    ran = subprocess.run(command, cwd=APPS, env=environ, check=True, capture_output=True, timeout=PUT_SECONDS)
    rate = json.loads(ran.stdout.splitlines()[-1])
    return {"finish": rate, "through": rate}


def _tool(name: str, package: str, called: str, noops: int, guarantee: str) -> Ceiling:
    rounds = {task: partial(_run, package, task, noops) for task in ("noop", "cpu")}
    return Ceiling(name, called, rounds, versions(package), guarantee, package=package)


LISTS = (
    _tool(
        "joblib",
        "joblib",
        "`Parallel(n_jobs=2)(…)`",
        100_000,
        "Nothing is kept: when a process dies, the whole call fails.",
    ),
    _tool(
        "Dask",
        "dask",
        "`Client(LocalCluster(n_workers=2, threads_per_worker=1)).map(…)`",
        4_000,
        "What a worker that dies had runs again; the scheduler's memory has all of it, and it ends with that.",
    ),
    _tool(
        "Ray",
        "ray",
        "`ray.get([f.remote(…), …])`, `num_cpus=2`",
        10_000,
        "What a process that dies had runs again, 3 times; it ends with the process that called.",
    ),
)
