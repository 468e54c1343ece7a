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


def mend(binary: Path, directory: Path) -> int:
    """Cut the AOF in `directory` behind its last whole write; return the number of bytes that went.

    A script's writes are one transaction, and go together. A server that reads a torn AOF by itself
    (`aof-load-truncated yes`) may leave the beginning of such a transaction in the file: Redis 7.0 and Valkey 8.1 do.
    What they write next then becomes a part of it; their next start applies half a script, or drops answered writes.

    Raises:
        ServerError: the AOF cannot be mended.
    """
    path = newest(directory)
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


def newest(directory: Path) -> Path:
    """The file of the AOF in `directory` that the server appends to: the last one of its manifest.

    Raises:
        ServerError: the manifest names none.
    """
    folder = directory / "appendonlydir"
    files = re.findall(r"^file (\S+) seq \d+ type i\b", (folder / "appendonly.aof.manifest").read_text(), re.MULTILINE)
    if not files:
        raise ServerError(f"invalid manifest in {folder} (expected a file of type i)")
    return folder / str(files[-1])
