"""The append-only file (AOF) of a server that does not run: removes a write that a crash left unfinished at its end."""

import re
import subprocess
from pathlib import Path

from gristmill.errors import ServerError

#: What a server says that refuses to read an AOF which ends in the middle of a write.
TORN = "Unexpected end of file reading the append only file"
#: By this name a server's own binary checks and mends files instead of serving.
_CHECK = "valkey-check-aof", "redis-check-aof"
_EXCESS = re.compile(r"diff=(\d+)")


#: What the name of a file gets whose writes come after a gap.
_SET_ASIDE = ".after-a-gap"


def mend(binary: Path, directory: Path) -> int:
    """Cut the AOF in `directory` behind its last whole write; return the number of bytes that went.

    A script's writes are one transaction, and go together. A server that reads a torn AOF by itself
    (`aof-load-truncated yes`) may leave the beginning of such a transaction in the file: Redis 7.0 and Valkey 8.1 do.
    What they write next then becomes a part of it; their next start applies half a script, or drops answered writes.

    A server that rewrites its AOF appends to a new file, and flushes the one before it in the background. If the power
    goes meanwhile, that one may be torn. What the newer file has then comes after a gap, and goes too: it stands in a
    file beside it.

    Raises:
        ServerError: the AOF cannot be mended.
    """
    paths = appended(directory)
    for place, path in enumerate(paths):
        if excess := _cut(binary, path):
            return excess + sum(map(_set_aside, paths[place + 1 :]))
    return 0


def _cut(binary: Path, path: Path) -> int:
    """Cut a file behind its last whole write; return the number of bytes that went."""
    name = next(name for name in _CHECK if name.startswith(binary.name.partition("-")[0]))
    check = subprocess.run(
        [name, "--fix", str(path)],
        executable=binary,
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if check.returncode:
        words = " ".join(check.stdout.split("\n")[-3:]).strip()
        raise ServerError(f"cannot mend the server's file {path}: {words}")
    return sum(map(int, _EXCESS.findall(check.stdout)))


def _set_aside(path: Path) -> int:
    """Leave an empty file in the place of one; return how many bytes that had."""
    path.rename(path.with_name(path.name + _SET_ASIDE))
    path.touch()
    return path.with_name(path.name + _SET_ASIDE).stat().st_size


def appended(directory: Path) -> list[Path]:
    """The files of the AOF in `directory` that the server has appended to, by its manifest: the newest comes last.

    Raises:
        ServerError: the manifest names none.
    """
    folder = directory / "appendonlydir"
    files = re.findall(r"^file (\S+) seq \d+ type i\b", (folder / "appendonly.aof.manifest").read_text(), re.MULTILINE)
    if not files:
        raise ServerError(f"invalid manifest in {folder} (expected a file of type i)")
    return [folder / file for file in files]
