"""All that an item writes, in a file of its own below the data root, where a batch has an `output_dir`."""

import logging
from contextlib import ExitStack

from gristmill.tasks.data_root import new_file
from gristmill.worker.rare_log import RareLog

log = RareLog(logging.getLogger(__name__))
NAME = "output"


class WholeOutput:
    """The file `{directory}/{index}/output`: it appears when the item has ended, in place of that of another attempt.

    An item goes on when its output cannot be written, as on a full disk: the worker's log says so, and no file appears.

    Raises:
        DataRootError: the directory is outside the data root.
        OSError: the directory or the file cannot be made.
    """

    def __init__(self, directory: str, index: int) -> None:
        self._folder = f"{directory}/{index}"
        self._stack = ExitStack()
        self._file = self._stack.enter_context(new_file(self._folder, "output_dir"))
        self._error: OSError | None = None

    def add(self, data: bytes) -> None:
        """What the item has written next."""
        if self._error is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._error = error

    def publish(self) -> None:
        """The item has ended."""
        with self._stack:
            if self._error is None:
                try:
                    self._file.publish(NAME)
                except OSError as error:
                    self._error = error
        if self._error:
            log.warning(self._folder, "cannot write what an item wrote into %s: %s", self._folder, self._error.strerror)
