"""Runs the program of an item in this slot, and tells how it ended."""

import os
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from shutil import which
from typing import Any

from gristmill.config.settings import settings
from gristmill.tasks.item import item
from gristmill.tasks.program.command import CommandLine
from gristmill.tasks.program.errors import OutputTooLarge, ProgramFailed, ProgramsOff, failure
from gristmill.worker.limits import TimeLimitExceeded
from gristmill.worker.programs.files import ProgramFiles, files_of
from gristmill.worker.programs.journal import run_journal
from gristmill.worker.programs.process import Ending, ProgramProcess, cannot_start, descriptor_of_null

#: The variables of a worker that a program does not get: settings, passwords among them.
_PRIVATE = ("GRISTMILL_", "_GRISTMILL_")
#: Exit codes of a program that is not there, and of one that cannot be run, as shells have them.
NOT_FOUND, NOT_RUN = 127, 126


def run(words: Sequence[str], command: CommandLine, values: Any) -> dict[str, Any]:
    """Run the words as a program for the input `values`; return its outcome, as docs/programs.md describes it.

    Raises:
        ProgramFailed: it ended with a code that is not in `command.ok_codes`, by a signal, or could not be started.
        OutputTooLarge: it wrote more to stdout than the server keeps.
        ProgramsOff: this worker runs no programs.
    """
    if not settings().runs_programs:
        raise ProgramsOff
    environment = _environment(tuple(sorted(command.env.items())))
    files = files_of(command)
    started = round(time.time(), 3)
    run_journal().begin(item.index, started, files.draft)
    files.begin()
    try:
        process = _start(words, environment, command.workdir, files)
    except OSError as error:
        ending = Ending(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUN)
        outcome = _outcome(ending, started, files, words, values)
        raise ProgramFailed(cannot_start(words, command.workdir, error), outcome) from None
    try:
        ending = process.wait(files.overflows)
    except BaseException as error:
        # The time limit, or the end of this process.
        ending = process.end(error)
        if isinstance(error, TimeLimitExceeded):
            error.outcome = _outcome(ending, started, files, words, values)
        raise
    outcome = _outcome(ending, started, files, words, values)
    if files.overflow:
        raise OutputTooLarge(words, outcome)
    if ending.exit not in command.ok_codes:
        raise ProgramFailed(failure(words, ending.exit, ending.signal), outcome)
    return outcome


def _start(
    words: Sequence[str], environment: Mapping[bytes, bytes], workdir: str, files: ProgramFiles
) -> ProgramProcess:
    for repeats in (True, False):
        path = _path(words[0], environment.get(b"PATH", os.fsencode(os.defpath)))
        try:
            return ProgramProcess(path, words, environment, workdir, descriptor_of_null(), files.stdout, files.stderr)
        except FileNotFoundError:
            # The program has moved since its path was found; or there is no such directory.
            _path.cache_clear()
            if not repeats:
                raise
    raise AssertionError


@lru_cache(64)
def _path(word: str, search: bytes) -> str:
    """The path of a program."""
    if "/" in word:
        return word
    path = which(word, path=os.fsdecode(search))
    if path is None:
        raise FileNotFoundError(2, "No such program", word)
    return path


@lru_cache(16)
def _environment(additions: tuple[tuple[str, str], ...]) -> dict[bytes, bytes]:
    """The variables of a program: the worker's, but for settings of ours, and those of its batch."""
    own = {name: value for name, value in os.environb.items() if not os.fsdecode(name).startswith(_PRIVATE)}
    return own | {os.fsencode(name): os.fsencode(value) for name, value in additions}


def _outcome(ending: Ending, started: float, files: ProgramFiles, words: Sequence[str], values: Any) -> dict[str, Any]:
    outcome = {
        "exit": ending.exit,
        "signal": ending.signal,
        "started": started,
        "seconds": round(ending.seconds, 6),
        "cpu_seconds": round(ending.cpu_seconds, 6),
        "max_memory": ending.max_memory,
        "slot": item.slot,
    }
    return {**outcome, "stdout": files.end({"input": values, "command": list(words), **outcome})}
