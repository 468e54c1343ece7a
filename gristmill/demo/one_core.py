"""Measures work without workers, in a process of its own."""

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
class Measurement:
    """Seconds of wall time, and of processor time over all cores; whether the interpreter had a GIL, if known."""

    seconds: float
    cpu_seconds: float
    gil: bool | None = None

    @property
    def cores(self) -> float:
        """How many cores were busy on average: processor time over wall time."""
        return self.cpu_seconds / self.seconds


def measure(method: str, task: str, items: Sequence[Any], width: int = 1) -> Measurement:
    """Run `items` by one of the methods of `gristmill.demo.methods`, `width` at once.

    Raises:
        GristmillError: the process failed; the text has its last line.
    """
    request = json.dumps({"method": method, "task": task, "items": list(items), "width": width})
    argv = [sys.executable, "-P", "-m", "gristmill.demo.methods"]
    reader, writer = os.pipe()
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # The other process watches the pipe: when the pipe closes, in whatever way this process ends, the other one ends.
    with (
        open(reader, "rb") as stdin,  # noqa: PTH123 (a descriptor)
        open(writer, "w", encoding="utf-8") as end_with_parent,  # noqa: PTH123 (a descriptor)
        subprocess.Popen(argv, stdin=stdin, start_new_session=True, **streams) as process,
    ):
        try:
            stdin.close()
            with suppress(BrokenPipeError):
                print(request, file=end_with_parent, flush=True)
            output, errors = process.communicate()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode:
        raise GristmillError(f"{method} failed: {(errors.strip().splitlines() or ['no reason given'])[-1]}")
    return Measurement(**json.loads(output))
