"""A process of a group of servers: a server or a Sentinel, with its configuration and its data."""

import os
import shutil
import signal
import subprocess
from pathlib import Path


class Node:
    """One process: a server or a Sentinel, with a configuration file in a directory of its own."""

    def __init__(
        self, directory: Path, port: int, lines: list[str], command: list[str], environ: dict[str, str] | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.port = directory, port
        self._config = directory / "server.conf"
        self._config.write_text("\n".join([*lines, ""]))
        binary, *rest = command
        self._command, self._environ = [binary, str(self._config), *rest], {**os.environ, **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, empty: bool = False) -> None:
        """Start the process; `empty` deletes its data first."""
        if empty:
            shutil.rmtree(self.directory / "appendonlydir", ignore_errors=True)
            (self.directory / "dump.rdb").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            self._command, env=self._environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, if it runs."""
        if self.process and self.alive:
            self.process.send_signal(number)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End the process at once."""
        self.send(signal.SIGKILL)
        if self.process:
            self.process.wait()


def library(directory: Path, name: str) -> Path:
    """One of the C files of this folder, compiled once for a directory."""
    path = directory / f"{name}.so"
    if not path.exists():
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"], check=True)
    return path
