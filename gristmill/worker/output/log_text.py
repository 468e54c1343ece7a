"""What is kept of an item's output: its end, without what a setting redacts."""

import re
from functools import cache

from gristmill.config.settings import settings

#: What is read of an output beyond the bytes to keep: patterns see whole lines of it.
MARGIN_BYTES = 16 << 10


@cache
def _pattern() -> re.Pattern[str] | None:
    return re.compile(settings().redact) if settings().redact else None


def redacted(text: str) -> str:
    """Text without what the setting `redact` finds in its lines."""
    pattern = _pattern()
    return "\n".join(pattern.sub("***", line) for line in text.split("\n")) if pattern else text


def log_text(tail: bytes, dropped: int) -> str:
    """What is kept of an item's output: its last `log_bytes` bytes, of its end and the number of bytes before that."""
    if dropped:
        # The first line lacks its beginning: a pattern might miss a part of what it would find.
        tail = tail.partition(b"\n")[2] or tail
    data, limit = redacted(tail.decode(errors="backslashreplace")).encode(), settings().log_bytes
    lost = dropped + max(0, len(data) - limit)
    end = data[-limit:].decode(errors="ignore")
    return f"[about {lost:,} bytes before this are lost]\n{end}" if lost else end
