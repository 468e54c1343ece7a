"""Runs `gristmill` on a pseudo-terminal, as a person does."""

import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path

from tests.support.command import GRISTMILL, PATIENCE, Done, Place
from tests.support.forked import popen

#: Clears a line, for another text.
_CLEARS = "\x1b[2K"
#: What moves the cursor, or colours.
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def on_terminal(place: Place, *arguments: str, columns: int = 80, stdout: Path | None = None, typed: str = "") -> Done:
    """Run a command whose input and output are a terminal of so many columns; `stdout` is a file instead.

    What the terminal shows is the `err` of the answer, without colours and movements of the cursor; the file's text is
    its `out`.
    """
    owner, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    file = stdout.open("wb") if stdout else None
    environ = {**place.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    try:
        process = popen(
            [GRISTMILL, *arguments],
            stdin=terminal,
            stdout=file or terminal,
            stderr=terminal,
            cwd=place.cwd,
            env=environ,
            start_new_session=True,
        )
    finally:
        os.close(terminal)
        if file:
            file.close()
    with process, os.fdopen(owner, "r+b", buffering=0) as screen:
        screen.write(typed.encode())
        output = _read(screen.fileno())
        process.wait(PATIENCE)
    text = _CONTROLS.sub("", output.decode(errors="replace").replace(_CLEARS, "\n"))
    return Done(process.returncode, stdout.read_text() if stdout else "", text)


def _read(file: int) -> bytes:
    """All that the terminal shows until its last process has closed it."""
    output = b""
    while True:
        try:
            block = os.read(file, 65536)
        except OSError:
            # Linux answers so when nobody has the terminal open any more.
            return output
        if not block:
            return output
        output += block
