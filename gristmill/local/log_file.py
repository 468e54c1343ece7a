"""The log files of a fleet's processes: each process writes to one, which is rotated, and shown as it grows."""

import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

#: The size at which a file is rotated, and how many older ones there are.
MOST_BYTES, OLDER = 10 << 20, 3
#: Seconds between two looks at the files.
LOOK_SECONDS = 0.1
_PORTION = 1 << 20


class LogFile:
    """A file to which a process appends, and its older ones: `cpu.log`, `cpu.log.1` … `cpu.log.3`.

    The process writes to the file itself and not to a pipe: it goes on, and nothing is lost, when the one that started
    it is stopped or killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Where what the process wrote since its start begins, and what is to be shown.
        self._start = self._next = path.stat().st_size if path.exists() else 0

    def open(self) -> int:
        """A descriptor for a process that starts now."""
        self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._start = os.fstat(descriptor).st_size
        return descriptor

    def last_line(self) -> str:
        """The last line that the process wrote since its start; empty if there is none."""
        lines = self._read(max(self._start, self._length() - _PORTION)).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def look(self, descriptor: int | None) -> None:
        """Write what is new to a descriptor, if any, and rotate the file once it is long enough."""
        while descriptor is not None and (text := self._read(self._next)):
            self._next += len(text)
            with suppress(OSError):
                os.write(descriptor, text)
        if self._length() >= MOST_BYTES:
            self._rotate()

    def _rotate(self) -> None:
        older = [self.path.with_name(f"{self.path.name}.{number}") for number in range(1, OLDER + 1)]
        for newer, oldest in zip(older[-2::-1], older[::-1], strict=False):
            if newer.exists():
                newer.replace(oldest)
        # The process has the file open, and appends: it goes on at the beginning.
        shutil.copyfile(self.path, older[0])
        older[0].chmod(0o600)
        os.truncate(self.path, 0)
        self._start = self._next = 0

    def _length(self) -> int:
        return self.path.stat().st_size

    def _read(self, at: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(_PORTION)


class LogFiles:
    """The files of some processes in a directory; what is new goes to a descriptor, if any. A context manager."""

    def __init__(self, directory: Path, descriptor: int | None) -> None:
        self._directory, self._descriptor = directory, descriptor
        self._files: list[LogFile] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_at_all, name="log files", daemon=True)

    def file(self, name: str) -> LogFile:
        """The file of the process called `name`."""
        file = LogFile(self._directory / f"{name}.log")
        self._files.append(file)
        return file

    def __enter__(self) -> "LogFiles":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Show the rest."""
        self._ended.set()
        self._thread.join()

    def _look_at_all(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(LOOK_SECONDS)
            for file in list(self._files):
                # Until the process has started, and when somebody has removed the directory, there is no file.
                with suppress(OSError):
                    file.look(self._descriptor)
