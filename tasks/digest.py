"""`digest`: the SHA-256 of a file."""

import hashlib
from typing import Any

from gristmill.tasks.data_root import check_path, open_under_root
from gristmill.tasks.kinds import io

#: Bytes read at once.
_BLOCK = 1 << 20


@io(check=check_path)
def digest(path: str) -> dict[str, Any]:
    """Compute the SHA-256 of a file under the data root.

    Returns the item's `path`, the file's size in `bytes`, and its `sha256` in hexadecimal.

    Raises:
        DataRootError: the path is outside the data root, or no regular file.
        OSError: the file is missing or cannot be read.
    """
    sha, size = hashlib.sha256(), 0
    with open_under_root(path) as file:
        while block := file.read(_BLOCK):
            sha.update(block)
            size += len(block)
    return {"path": path, "bytes": size, "sha256": sha.hexdigest()}
