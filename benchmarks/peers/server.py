"""Which server a peer runs on: the embedded one, or a newer Redis of this machine where the peer needs that."""

import re
import shutil
import subprocess
from pathlib import Path

Version = tuple[int, int]


def binary(needed: Version | None) -> Path | None:
    """The `redis-server` of the PATH if it is new enough; None if the embedded server will do.

    Raises:
        RuntimeError: a Redis is needed, and there is none so new.
    """
    if needed is None:
        return None
    text = ".".join(map(str, needed))
    path = shutil.which("redis-server")
    if path is None:
        raise RuntimeError(f"needs a redis-server of version {text} or later on the PATH; there is none")
    answer = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    match = re.search(r"v=(\d+)\.(\d+)", answer)
    if match is None or (int(match[1]), int(match[2])) < needed:
        raise RuntimeError(f"needs a redis-server of version {text} or later on the PATH; there is {answer.split()[2]}")
    return Path(path)
