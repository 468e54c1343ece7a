"""Where a program's output goes: stdout into its result, or both streams into a folder of the item's own."""

import errno
import json
import os
import secrets
import shutil
import threading
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from gristmill.tasks.item import item
from gristmill.tasks.program.command import CommandLine
from gristmill.worker.output.output_file import new_file
from gristmill.worker.restoration.descriptors import identity

#: Bytes of JSON that stdout may take of a value, which has 1 MiB at most.
STDOUT_BYTES = (1 << 20) - 4096
#: Bytes of the end of an output that is cut, and of a stderr that the item's log has too.
TAIL_BYTES = 8 << 10
#: How the name of a folder ends whose program has not.
PART = ".part"


class StoredOutput:
    """Stdout goes to a file of this thread, and from there into the result; stderr is the process's, with its log.

    `stdout` and `stderr` are descriptors. `overflow` says whether the program wrote more than a result has room for.
    """

    #: The folder in which the files are until the program has ended; empty where there is none.
    draft = ""
    stderr = 2

    def __init__(self) -> None:
        self.overflow = False
        self._open()

    def _open(self) -> None:
        self.stdout = new_file()
        self._identity = identity(self.stdout)

    def begin(self) -> None:
        """Empty the file, which another task may have closed."""
        self.overflow = False
        try:
            if identity(self.stdout) != self._identity:
                self._open()
            elif self._bytes():
                os.ftruncate(self.stdout, 0)
        except OSError:
            self._open()

    def _bytes(self) -> int:
        return os.lseek(self.stdout, 0, os.SEEK_END)

    def overflows(self) -> bool:
        """Whether stdout has more bytes than a result has room for."""
        return self._bytes() > STDOUT_BYTES

    def end(self, about: dict[str, Any]) -> Any:  # noqa: ARG002
        """Stdout as text, or `{"base64": …}` if it is not UTF-8; `{"tail": …, "bytes": …}` if it is too large."""
        size = self._bytes()
        if not size:
            return ""
        if size <= STDOUT_BYTES:
            value = _value(os.pread(self.stdout, size, 0))
            if size <= STDOUT_BYTES // 8 or len(json.dumps(value, ensure_ascii=False).encode()) <= STDOUT_BYTES:
                return value
        self.overflow = True
        tail = os.pread(self.stdout, TAIL_BYTES, max(0, size - TAIL_BYTES))
        return {"tail": tail.decode(errors="backslashreplace"), "bytes": size}


def _value(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(data).decode()}


def new_draft(directory: str, index: int) -> str:
    """A name for the folder that the program of an item writes to until it has ended."""
    # Another worker may run the item too: each writes a folder of its own, and one of them stays.
    return str(Path(directory) / f".{index}.{secrets.token_hex(4)}{PART}")


def delete_draft(draft: str) -> None:
    """Delete the folder of a program that has not ended, if there is one."""
    if draft.endswith(PART):
        # What the program has started may still write to it.
        with suppress(OSError):
            shutil.rmtree(draft)


class OutputFolder:
    """Both streams go to files in `directory/INDEX/`, which appears when the program has ended, beside `meta.json`.

    Raises:
        OSError: the folder cannot be made.
    """

    overflow = False

    def __init__(self, directory: str, draft: str = "") -> None:
        self._folder = Path(directory) / str(item.index)
        self.draft = draft or new_draft(directory, item.index)
        self._part = Path(self.draft)

    def begin(self) -> None:
        """Make the folder."""
        if self._folder.exists() and not self._folder.is_dir():
            # It is not ours to replace.
            raise FileExistsError(errno.EEXIST, "a file has the name of the item's folder", str(self._folder))
        self._part.mkdir(parents=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self.stdout, self.stderr = (os.open(self._part / name, flags, 0o666) for name in ("stdout", "stderr"))

    def overflows(self) -> bool:
        """Never: a file takes all."""
        return False

    def end(self, about: dict[str, Any]) -> dict[str, Any]:
        """What the outcome has of stdout, `{"file": path, "bytes": size}`; `about` tells how the program ended."""
        sizes = [os.lseek(stream, 0, os.SEEK_END) for stream in (self.stdout, self.stderr)]
        tail = os.pread(self.stderr, TAIL_BYTES, max(0, sizes[1] - TAIL_BYTES))
        os.close(self.stdout)
        os.close(self.stderr)
        if tail:
            # For the item's log.
            os.write(2, tail)
        meta = {"batch": item.batch, "index": item.index, "attempt": item.attempt, **about}
        (self._part / "meta.json").write_text(json.dumps(meta) + "\n")
        self._publish()
        return {"file": str(self._folder / "stdout"), "bytes": sizes[0]}

    def _publish(self) -> None:
        """Give the folder its name, in place of that of an earlier attempt."""
        for _ in range(3):
            try:
                self._part.rename(self._folder)
            except OSError:
                old = self._part.with_suffix(".old")
                try:
                    self._folder.rename(old)
                except FileNotFoundError:
                    continue
                shutil.rmtree(old, ignore_errors=True)
            else:
                return
        self._part.rename(self._folder)


#: What a program writes to.
ProgramFiles = StoredOutput | OutputFolder


class _PerThread(threading.local):
    stored: StoredOutput | None = None
    #: The draft of the next program, if somebody has named it.
    draft = ""


_per_thread = _PerThread()


def _forget() -> None:
    _per_thread.stored = None


os.register_at_fork(after_in_child=_forget)


def name_draft(draft: str) -> None:
    """Have the next program of this thread write to this folder, by whose name another process deletes it."""
    _per_thread.draft = draft


def files_of(command: CommandLine) -> ProgramFiles:
    """Where the output of an item of this command goes."""
    if command.output_dir:
        draft, _per_thread.draft = _per_thread.draft, ""
        return OutputFolder(command.output_dir, draft)
    if _per_thread.stored is None:
        _per_thread.stored = StoredOutput()
    return _per_thread.stored
