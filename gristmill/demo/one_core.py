"""What work would take without workers: measured in a process of its own, here and now."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gristmill.errors import GristmillError


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of wall time, and of processor time over all cores; whether the interpreter had a `gil`, if asked."""

    seconds: float
    cpu_seconds: float
    gil: bool | None = None


def measure(method: str, task: str, items: Sequence[Any], width: int = 1) -> Measured:
    """Run `items` by one of the methods of `gristmill.demo.local`, `width` at once.

    Raises:
        GristmillError: the process failed; its last line says why.
    """
    asked = json.dumps({"method": method, "task": task, "items": list(items), "width": width})
    argv = [sys.executable, "-P", "-m", "gristmill.demo.local"]
    read, write = os.pipe()
    heard: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # The other process watches the pipe: when the pipe closes, in whatever way this process ends, the other one ends.
    with (
        open(read, "rb") as stdin,  # noqa: PTH123 (a descriptor)
        open(write, "w", encoding="utf-8") as end_with_parent,  # noqa: PTH123 (a descriptor)
        subprocess.Popen(argv, stdin=stdin, start_new_session=True, **heard) as process,
    ):
        try:
            stdin.close()
            with suppress(BrokenPipeError):
                print(asked, file=end_with_parent, flush=True)
            output, errors = process.communicate()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode:
        raise GristmillError(f"{method} failed: {(errors.strip().splitlines() or ['no reason given'])[-1]}")
    return Measured(**json.loads(output))
