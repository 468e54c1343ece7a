"""The workers' log lines: text or JSON, each with the chunk that it concerns."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from gristmill.batches.chunk import Chunk
from gristmill.config.settings import settings
from gristmill.worker.output import capture

_about: ContextVar[dict[str, Any] | None] = ContextVar("about", default=None)


@contextmanager
def about(chunk: Chunk, worker: str) -> Iterator[None]:
    """Add the chunk's batch, first and count, and the worker's name, to the log lines of this context."""
    fields = {"batch": chunk.batch, "first": chunk.first, "count": chunk.count, "worker": worker}
    token = _about.set(fields)
    try:
        yield
    finally:
        _about.reset(token)


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00+00:00 WARNING gristmill.worker.drain: … [batch=nightly first=0 count=4 worker=cpu@a]`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of text; a traceback follows on lines of its own."""
        context = " ".join(f"{name}={value}" for name, value in (_about.get() or {}).items())
        line = f"{_moment(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line += f" [{context}]" if context else ""
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time, level, logger, message, the chunk, and the traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        fields = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(_about.get() or {}),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class WorkerHandler(logging.Handler):
    """Writes what an item logs to the item's own output, and all else to the worker's stderr."""

    #: The descriptor of the worker's stderr, where descriptor 2 is an item's; None elsewhere.
    own: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            line = self.format(record) + "\n"
            if self.own is None or capture.current().running:
                sys.stderr.write(line)
                sys.stderr.flush()
            else:
                os.write(self.own, line.encode(errors="backslashreplace"))
        except Exception:
            self.handleError(record)


def write_to(descriptor: int) -> None:
    """Write the worker's own lines to `descriptor` from now on."""
    WorkerHandler.own = descriptor


def set_up(**_: Any) -> None:
    """Have this process write its log lines in our form, at the level of the settings."""
    handler = WorkerHandler()
    handler.setFormatter(JsonFormatter() if settings().log_format == "json" else TextFormatter())
    logging.basicConfig(level=settings().log_level.upper(), handlers=[handler], force=True)
