"""Watches the user's own modules, and says when workers should start again with their new code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from gristmill.local.sources import own_files

#: What tells that a file has changed: when it was written, and its size. A file that is not there has none.
Stamps = dict[str, tuple[int, int]]


class Reload:
    """Looks for changed files each time it is asked. `say` gets a line about code that cannot be imported.

    Raises:
        SettingError: a module of the user's cannot be imported at the start.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        # Python takes a cached module for the file's when both are of one second and one size.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        self._say = say
        self._files = own_files()
        self._loaded = self._latest = _stamps(self._files)
        self._broken = False

    def changed_files(self) -> list[str]:
        """The names of the files that changed since workers loaded them, once all can be imported; else none.

        Files that changed since the last look are left for the next one: an editor may still be writing.
        """
        stamps = _stamps(self._watched())
        settled = stamps == self._latest
        self._latest = stamps
        if not settled or stamps == self._loaded:
            return []
        changed = [path for path in self._files if stamps.get(path) != self._loaded.get(path)]
        self._check()
        self._loaded = self._latest = _stamps(self._watched())
        return [] if self._broken else [Path(path).name for path in changed] or ["a module"]

    def _watched(self) -> Iterable[str]:
        """The files; while one cannot be imported also their folders, where a missing module may appear."""
        return [*self._files, *({str(Path(file).parent) for file in self._files} if self._broken else ())]

    def _check(self) -> None:
        """Import the code in another process, and watch the files that it has now."""
        command = [sys.executable, "-P", "-m", "gristmill.local.sources"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        self._broken = done.returncode != 0
        if self._broken:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            self._say(f"{reason}; the workers go on with the code that they have")
        else:
            self._files = json.loads(done.stdout.splitlines()[-1])


def _stamps(paths: Iterable[str]) -> Stamps:
    stamps: Stamps = {}
    for path in paths:
        with suppress(OSError):
            status = Path(path).stat()
            stamps[path] = (status.st_mtime_ns, status.st_size)
    return stamps
