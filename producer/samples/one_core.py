"""What work would take without workers: measured in a process of its own, here and now."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.errors import GristmillError


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of wall time, and of processor time over all cores."""

    seconds: float
    cpu_seconds: float


def measure(method: str, task: str, items: Sequence[Any], width: int = 1) -> Measured:
    """Run `items` by one of the methods of `producer.samples.local`, `width` at once.

    Raises:
        GristmillError: the process failed; its last line says why.
    """
    asked = json.dumps({"method": method, "task": task, "items": list(items), "width": width})
    argv = [sys.executable, "-P", "-m", "producer.samples.local"]
    done = subprocess.run(argv, input=asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GristmillError(f"{method} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return Measured(**json.loads(done.stdout))
