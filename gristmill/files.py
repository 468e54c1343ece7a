"""Files of tasks: opened and created below the data root, and never outside it.

The data root is `GRISTMILL_DATA_ROOT`, or the directory in which `gristmill up` or `gristmill run` was started.
"""

from gristmill.tasks.data_root import NewFile, new_file, open_under_root

__all__ = ["NewFile", "new_file", "open_under_root"]
