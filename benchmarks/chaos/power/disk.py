"""What the disk of a server holds after a power cut: what was flushed, and of the rest nothing, or a part."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

SHIM = Path(__file__).with_name("fsyncs.c")


class NoCompiler(RuntimeError):
    """The library that notes each fsync cannot be built: the text says why."""


def build(directory: Path) -> Path:
    """Build the library of fsyncs.c in `directory`.

    Raises:
        NoCompiler: this machine has no C compiler, or it fails.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise NoCompiler("no C compiler on PATH: install cc, gcc or clang")
    library = directory / "fsyncs.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise NoCompiler(f"{compiler} fails: {run.stderr.strip()}")
    return library


class Disk:
    """The AOF of the server in `directory`, and what of it is flushed, as the library notes it."""

    def __init__(self, directory: Path, library: Path) -> None:
        self.folder = directory.resolve() / "appendonlydir"
        self._library = library
        self._notes, self._links = directory.parent / "flushed", directory.parent / "inodes"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A server that is started in this context has its flushes noted; all that is there now counts as flushed."""
        shutil.rmtree(self._links, ignore_errors=True)
        self._links.mkdir()
        lines, names = [], "D"
        for path in self.folder.iterdir() if self.folder.exists() else ():
            status = path.stat()
            os.link(path, self._links / str(status.st_ino))
            lines.append(f"F {status.st_ino} {status.st_size}")
            names += f" {status.st_ino} {path.name}"
        self._notes.write_text("\n".join([*lines, names]) + "\n")
        environment = {
            "LD_PRELOAD": str(self._library),
            "POWER_NOTES": str(self._notes),
            "POWER_DIRECTORY": str(self.folder),
            "POWER_LINKS": str(self._links),
        }
        with mock.patch.dict(os.environ, environment):
            yield

    def cut(self, luck: random.Random, *, in_part: bool) -> int:
        """Lose what was not flushed, of a server that was killed; return the number of bytes.

        With `in_part`, a part of it is on disk by chance: a torn end.
        """
        sizes, names = self._flushed()
        if not in_part:
            self._restore(names)
        lost = 0
        for path in self.folder.iterdir():
            status = path.stat()
            flushed = min(sizes.get(status.st_ino, 0), status.st_size)
            size = luck.randint(flushed, status.st_size) if in_part else flushed
            lost += status.st_size - size
            os.truncate(path, size)
        return lost

    def _flushed(self) -> tuple[dict[int, int], dict[str, int]]:
        """Size of each inode, and inode of each name, at their last flush."""
        sizes: dict[int, int] = {}
        names: dict[str, int] = {}
        for line in self._notes.read_text().splitlines():
            kind, *words = line.split(" ")
            if kind == "F":
                sizes[int(words[0])] = int(words[1])
            else:
                names = {name: int(inode) for inode, name in zip(words[::2], words[1::2], strict=True)}
        return sizes, names

    def _restore(self, names: dict[str, int]) -> None:
        """Undo what happened to names since the directory was flushed: files made, renamed and deleted."""
        for path in self.folder.iterdir():
            if path.name not in names:
                path.unlink()
        for name, inode in names.items():
            path, link = self.folder / name, self._links / str(inode)
            with suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    continue
                path.unlink()
            os.link(link, path)
