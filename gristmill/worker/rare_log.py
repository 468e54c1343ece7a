"""Log lines about what happens again and again: the first of each subject, and then one an hour."""

import logging
import time
from typing import Any

#: Seconds between two lines about one subject, at least, and subjects that are remembered, at most.
AGAIN_SECONDS, SUBJECTS_MOST = 3600.0, 1000


class RareLog:
    """A logger whose lines have a subject."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lines_at: dict[str, float] = {}

    def error(self, subject: str, line: str, *arguments: Any) -> bool:
        """Log an error, unless there was one about the subject in the last hour; whether it is logged."""
        return self._log(logging.ERROR, subject, line, arguments)

    def exception(self, subject: str, line: str, *arguments: Any) -> bool:
        """Log the error that is handled with its traceback, unless there was a line about the subject lately."""
        return self._log(logging.ERROR, subject, line, arguments, exc_info=True)

    def warning(self, subject: str, line: str, *arguments: Any) -> bool:
        """Log a warning, unless there was a line about the subject in the last hour; whether it is logged."""
        return self._log(logging.WARNING, subject, line, arguments)

    def _log(self, level: int, subject: str, line: str, arguments: tuple[Any, ...], *, exc_info: bool = False) -> bool:
        now = time.monotonic()
        if now - self._lines_at.get(subject, float("-inf")) < AGAIN_SECONDS:
            return False
        if len(self._lines_at) >= SUBJECTS_MOST:
            self._lines_at.clear()
        self._lines_at[subject] = now
        self._logger.log(level, line, *arguments, exc_info=exc_info)
        return True
